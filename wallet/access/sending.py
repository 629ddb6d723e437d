"""A code on its way to its holder: by push to the phone that asked, else by SMS.

Promise: a code goes by one channel. Push comes first where the phone gave an address: sealed to the
phone's own key, so that no gateway reads it. Only when push is refused, silent for longer than
the port waits, or nobody is at the address any more, the text goes by SMS, and stays there however
often the job is run. A code asked for anew after a push that was accepted goes by SMS at once: the
holder says that it did not come. What was chosen is written down, so that a job that runs twice
does not send by both.

Owns no table. Who calls: the worker.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol
from uuid import UUID

from msgspec import Struct

from wallet.access import challenges, push
from wallet.access.challenges import Challenge, Channel, SmsPort, code_over
from wallet.access.for_phone import sealed_for
from wallet.identifiers import BankId, HolderId, Secret
from wallet.vault import Vault
from wallet.work import Actor, Work, Works

_log: Final = logging.getLogger("smartid.codes")

PhoneOf = Callable[[Work, HolderId], Awaitable[Secret[str] | None]]


class PushPort(Protocol):
    """What wakes a phone. Adapters live in notifications.channels."""

    async def push(self, *, to: str, sealed: str, ref: str, lives_s: int) -> bool:
        """Hand one message over within a bounded time; `ref` makes a repeat recognisable. False:
        nobody is at this address any more. Raises OSError for everything else, saying why and
        never which."""
        ...


class Channels(Struct, frozen=True, kw_only=True):
    """By what a code may go; None: there is no such gateway."""

    sms: SmsPort | None
    push: PushPort | None = None


class _Open(Struct, frozen=True, kw_only=True):
    """A code that is still good, unlocked for sending."""

    challenge: Challenge
    text: Secret[str]
    phone: Secret[str] | None
    target: push.Target | None
    lives_s: int


async def send(
    works: Works,
    vault: Vault,
    channels: Channels,
    phone_of: PhoneOf,
    actor: Actor,
    payload: dict[str, Any],
) -> None:
    """Send the code a job names, unless it is over by now or was pushed. Safe to run twice: both
    gateways recognise the challenge's id. Raises what the SMS port raises, so that the job is tried
    again.
    """
    bank, challenge_id = BankId(payload["bank"]), UUID(payload["challenge_id"])
    opened = await works.read(actor, bank, lambda work: _open(work, vault, phone_of, challenge_id))
    if opened is None:
        return
    if opened.target is not None and channels.push is not None:
        chosen, dead = await _pushed(channels.push, opened, opened.target)
        gone = opened.target if dead else None
        await works.perform(actor, bank, lambda work: _chosen(work, challenge_id, chosen, gone))
        if chosen is Channel.PUSH:
            return
    if opened.phone is not None:
        if channels.sms is None:
            raise ConnectionError("no SMS gateway")
        ref = str(challenge_id)
        await channels.sms.send(to=opened.phone.reveal(), text=opened.text.reveal(), ref=ref)


async def _open(work: Work, vault: Vault, phone_of: PhoneOf, challenge_id: UUID) -> _Open | None:
    found = await challenges.open_by_id(work, challenge_id)
    if found is None or found.pushed_at is not None:
        return None
    key = await vault.unseal(work, found.key_sealed, *found.place)
    target = None
    if found.channel is Channel.PUSH:
        target = await push.of_intent(work, vault, found.intent_id)
    return _Open(
        challenge=found,
        text=Secret(found.message.format(code=code_over(key.reveal(), found.tx_hash))),
        phone=await phone_of(work, found.holder_id),
        target=target,
        lives_s=int((found.expires_at - work.now).total_seconds()),
    )


async def _pushed(port: PushPort, opened: _Open, target: push.Target) -> tuple[Channel, bool]:
    """The channel that it comes to, and whether the address is dead."""
    content = {"intent_id": str(opened.challenge.intent_id), "text": opened.text.reveal()}
    sealed = sealed_for(target.public_key, content)
    try:
        accepted = await port.push(
            to=target.address.reveal(),
            sealed=sealed,
            ref=str(opened.challenge.id),
            lives_s=opened.lives_s,
        )
    except OSError as why:
        _log.warning("a code goes by SMS: push %s", why)
        return Channel.SMS, False
    return (Channel.PUSH, False) if accepted else (Channel.SMS, True)


async def _chosen(
    work: Work, challenge_id: UUID, channel: Channel, dead: push.Target | None
) -> None:
    await challenges.went(work, challenge_id, channel)
    if dead is not None:
        await push.forget_dead(work, dead)
