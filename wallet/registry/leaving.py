"""Leaving the service: what becomes of the Smart ID when its holder leaves, retires or dies.

Promise: the person's standing and their Smart ID change in one Work. Who leaves or retires hands
the card in: it is revoked, and its virtual cards stop with it. Who is reported dead has payments
frozen by the bank, which a mistaken report undoes; nothing is debited. Salary still lands either
way: wallets are not touched.

    LEFT RETIRED   identity REVOKED, payment BLOCKED     final; a new Smart ID if they come back
    DECEASED       payment FROZEN by the bank            lifted by the bank

Owns no table. Who calls: agencies' reports of changes of status.
"""

from collections.abc import Sequence
from typing import Final

from wallet.identifiers import HolderId
from wallet.outcomes import Done, Outcome, Reason, Refused
from wallet.registry import holders, smart_ids
from wallet.registry.holders import Holder, HolderStatus
from wallet.registry.states import IdentityState, Party, PaymentState
from wallet.work import Work

GONE: Final = frozenset({HolderStatus.LEFT, HolderStatus.RETIRED, HolderStatus.DECEASED})


async def report(work: Work, person: Holder, to: HolderStatus, reason: str) -> Outcome:
    """One person's agency says so, and why; told again it changes nothing more.

    Refuses: ILLEGAL_TRANSITION (they left otherwise).
    """
    await leave(work, [person.id], to)
    work.note("holder.leaving_reported", str(person.id), holder_id=person.id, reason=reason)
    return Done(answer={"staff_no": person.staff_no, "status": to.value})


async def leave(work: Work, holder_ids: Sequence[HolderId], to: HolderStatus) -> None:
    """Record that these left, retired or died, and stop their Smart IDs.

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION (the whole group; or `to` is no way to leave).
    """
    if to not in GONE:
        raise Refused(Reason.ILLEGAL_TRANSITION, wanted=to.value)
    await holders.advance(work, holder_ids, to)
    held = (await smart_ids.of_holders(work, holder_ids)).values()
    if to is HolderStatus.DECEASED:
        paying = [s.id for s in held if s.payment_state in _PAYS]
        await smart_ids.freeze_payment(work, paying, by=Party.BANK, reason="deceased")
        return
    ended = (IdentityState.REVOKED, IdentityState.EXPIRED)
    going = [s.id for s in held if s.identity_state not in ended]
    await smart_ids.advance(work, going, IdentityState.REVOKED)


_PAYS: Final = frozenset({PaymentState.ACTIVE, PaymentState.FROZEN})
