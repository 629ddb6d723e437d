"""An act authorised from a phone: through the gate in Redis where a sent code is among the factors,
then consumed with its effect by the lane of its kind.

Promise: a code that was wrong, spent, expired or never sent is one answer, by its words and by its
time. Who calls: the mobile door.
"""

from msgspec.structs import replace

from wallet.access import challenges
from wallet.access.evenly import CODE_S, Evenly
from wallet.access.intents import Authorising
from wallet.outcomes import Declined, Outcome, Reason
from wallet.teller import Lane, Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import Actor


async def authorise(
    teller: Teller,
    vault: Vault,
    throttle: Throttle,
    lane: Lane[Authorising],
    actor: Actor,
    tried: Authorising,
) -> Outcome:
    """What these factors come to. Declines and refuses as `intents.authorise_lane`."""
    assert actor.bank is not None  # noqa: S101 - a phone
    if tried.code is None:
        return await teller.ask(lane, actor.bank, tried)
    even, code = Evenly(CODE_S), tried.code.reveal()
    if len(code) == challenges.CODE_DIGITS:
        of, signature = tried.intent_id, tried.signature
        gate = await challenges.gate(teller, vault, throttle, actor, of, code, signature)
        tried = replace(tried, gate=gate)
    outcome = await teller.ask(lane, actor.bank, tried)
    if isinstance(outcome, Declined) and outcome.reason is Reason.OTP_WRONG:
        await even.refused()
    return outcome
