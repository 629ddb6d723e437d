"""What is masked everywhere, shown once: a holder's telephone number, for a case and a reason.

Promise: needs an open case of that very holder or emergency access that stands, and a reason either
way; the look is written down, in the same transaction, in the holder's own feed, with who, case and
reason; one without a case is told to the holder at once as well. Card and account numbers have no
unmasking: nobody of the staff sees one in full. Tables owned: none. Who calls: support door.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from wallet.access import emergency
from wallet.access.members import Permission, member_of
from wallet.disputes import cases
from wallet.disputes.cases import CaseState
from wallet.disputes.statements import without_card_numbers
from wallet.events import SecurityNotice
from wallet.identifiers import HolderId, Secret, StaffId
from wallet.outcomes import Reason, Refused
from wallet.registry import holders
from wallet.work import ActorKind, Work

ACT: Final = "holder.unmask"

PhoneOf = Callable[[Work, HolderId], Awaitable[Secret[str] | None]]
"""Opens the sealed number: the vault is not for this room."""


async def telephone(
    work: Work, holder_id: HolderId, *, case_number: str | None, reason: str, phone_of: PhoneOf
) -> Secret[str] | None:
    """A holder's telephone number, E.164; None when they have none.

    Refuses: FORBIDDEN, NOT_FOUND (no such holder, no such case of theirs), DISPUTE_CLOSED,
    CASE_REQUIRED (no case named, and no emergency access stands).
    """
    await _acting(work)
    if await holders.by_id(work, holder_id) is None:
        raise Refused(Reason.NOT_FOUND)
    said = without_card_numbers(reason)
    if case_number is not None:
        case = await cases.by_number(work, case_number)
        if case is None or case.holder_id != holder_id:
            raise Refused(Reason.NOT_FOUND)
        if case.state is CaseState.CLOSED:
            raise Refused(Reason.DISPUTE_CLOSED)
        subject, number = str(case.id), case.case_number
    else:
        standing = await emergency.standing(work)
        if standing is None:
            raise Refused(Reason.CASE_REQUIRED)
        subject, number = f"emergency {standing.id}", None
        said = f"{said} ({standing.reason})"
        work.emit(SecurityNotice(holder_id=holder_id, what="emergency_look"))
    work.note(ACT, subject, holder_id=holder_id, case_number=number, reason=said, seen=("phone",))
    return await phone_of(work, holder_id)


async def _acting(work: Work) -> None:
    if work.actor.kind is not ActorKind.SUPPORT:
        raise Refused(Reason.FORBIDDEN)
    member = await member_of(work, StaffId(UUID(work.actor.id)))
    if not member.may(Permission.HOLDER_UNMASK):
        raise Refused(Reason.FORBIDDEN, permission=Permission.HOLDER_UNMASK.value)
