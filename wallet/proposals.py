"""Four eyes on a bank's terms: one clerk proposes a sheet, another approves it.

Promise: what is approved is the very sheet that was shown (its hash), by another member of the
same bank with a fresh time code, within 24 hours; it takes effect at the moment wished, never less
than a minute ahead, so nobody is charged or limited by a sheet they were not shown.

    (none) --propose, a maker--> waiting --approve, another member, fresh code--> approved

Owns no table (terms, approvals). Who calls: the banks' door.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from wallet import exchange, fees, terms
from wallet.access import approvals
from wallet.access.approvals import Approval
from wallet.access.members import Permission
from wallet.exchange import RateSheet
from wallet.fees import FeeSheet
from wallet.identifiers import ApprovalId
from wallet.limits import DEFAULT, LimitSheet
from wallet.limits import sheets as limit_sheets
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.terms import Sheet, Sort
from wallet.work import Work

ACT: Final = "terms"

SecondPerson = Callable[[Work, ApprovalId, bytes], Awaitable[Approval | Declined]]
"""The checker's approval of this payload, proved with a fresh code."""

AnySheet = LimitSheet | FeeSheet | RateSheet

_SORTS: Final[dict[type[Struct], Sort]] = {
    LimitSheet: Sort.LIMITS,
    FeeSheet: Sort.FEES,
    RateSheet: Sort.RATES,
}
_TYPES: Final = {sort: type_ for type_, sort in _SORTS.items()}


async def propose(work: Work, sheet: AnySheet, effective_from: datetime | None) -> Outcome:
    """Write a sheet down and ask for a second person. `effective_from`: none, as soon as may be.

    Refuses: FORBIDDEN (not a maker), INVALID_REQUEST, AMOUNT_OUT_OF_RANGE (a rate far from the one
    in force), CONFLICT (`effective_from`: too soon, or not at the start of a day or month).
    """
    if effective_from is not None and effective_from < work.now + terms.LEAD:
        raise Refused(Reason.CONFLICT, field="effective_from")
    await _decide(work, sheet, effective_from)
    body = msgspec.to_builtins(sheet)
    proposed = await terms.propose(
        work, _SORTS[type(sheet)], body, effective_from=effective_from, by=work.actor.id
    )
    await approvals.request(
        work, ACT, str(proposed.id), _payload(proposed), permission=Permission.TERMS_PROPOSE
    )
    return Done(answer=shown(proposed))


async def approve(work: Work, sheet_id: UUID, second: SecondPerson) -> Outcome:
    """Approve a sheet somebody else proposed, and put it in force from its moment on.

    Declines: OTP_WRONG, LOCKED, APPROVAL_EXPIRED. Refuses: NOT_FOUND, FORBIDDEN (not a checker),
    FOUR_EYES, ILLEGAL_TRANSITION (approved before), and what `propose` refuses of a sheet: another
    may be in force by now.
    """
    sheet = await terms.find(work, sheet_id)
    approval = await approvals.newest(work, ACT, str(sheet.id))
    if approval is None:
        raise Refused(Reason.NOT_FOUND)
    payload = _payload(sheet)
    approved = await second(work, approval.id, payload)
    if isinstance(approved, Declined):
        return approved
    spent = await approvals.execute(work, approval.id, act=ACT, payload_hash=payload)
    if isinstance(spent, Declined):
        return spent
    await _decide(work, msgspec.convert(sheet.body, _TYPES[sheet.sort]), sheet.effective_from)
    in_force = await terms.put_in_force(work, sheet.id, by=work.actor.id)
    return Done(answer=shown(in_force))


async def standing(work: Work, sort: Sort) -> list[Sheet]:
    """What is in force, is to come, and waits for approval. Empty: the programme's own holds."""
    return await terms.standing(work, sort)


def shown(sheet: Sheet) -> dict[str, Any]:
    """A sheet as bank operations read it."""
    return {
        "id": str(sheet.id),
        "state": "WAITING" if sheet.approved_at is None else "APPROVED",
        "sheet": sheet.body,
        "effective_from": sheet.effective_from.isoformat() if sheet.effective_from else None,
        "proposed_at": sheet.proposed_at.isoformat(),
    }


def _payload(sheet: Sheet) -> bytes:
    moment = sheet.effective_from
    return approvals.hash_of([sheet.id, sheet.sort, sheet.body, moment])


async def _decide(work: Work, sheet: Struct, effective_from: datetime | None) -> None:
    """Whether this sheet may follow the newest one approved."""
    newest = await terms.newest(work, _SORTS[type(sheet)])
    before = None if newest is None else msgspec.convert(newest.body, type(sheet))
    match sheet:
        case LimitSheet():
            assert before is None or isinstance(before, LimitSheet)  # noqa: S101 - of its own sort
            limit_sheets.decide_change(before or DEFAULT, sheet, effective_from)
        case FeeSheet():
            assert before is None or isinstance(before, FeeSheet)  # noqa: S101 - of its own sort
            fees.decide_change(before or fees.DEFAULT, sheet, effective_from)
        case RateSheet():
            assert before is None or isinstance(before, RateSheet)  # noqa: S101 - of its own sort
            exchange.decide_rate(before, sheet)
