"""Cases of purchases closed by people: what they found and why, by one or by two.

Promise: a case is closed once, with a finding and a reason, by a member of support who may work on
cases; where suspense stands in with money for it, another who may approve refunds has to agree,
within a day and with a fresh code, to exactly that finding. Closing moves no money: a shop gives
back by its return, a bank by a refund, and what suspense stands in for is the ledger's own case.

    OPEN --no money stands in suspense--> CLOSED
    OPEN --it does--> REQUESTED --another person, fresh code--> CLOSED
                                --24 hours--> OPEN again

Tables owned: authorisation_case_closings. Who calls: the support door.
"""

import enum
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.access import approvals, staff
from wallet.access.approvals import Approval
from wallet.access.members import Permission
from wallet.database import Record
from wallet.identifiers import ApprovalId, BankId, StaffId
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.work import ActorKind, Work

ACT: Final = "authorisation.case_close"
MAKES: Final = Permission.CASE_WORK
APPROVER: Final = Permission.REFUND_APPROVE

SecondPerson = Callable[[Work, ApprovalId, bytes], Awaitable[Approval | Declined]]
"""The checker's approval of this payload, proved with a fresh code."""


class Finding(enum.StrEnum):
    CHARGE_IS_RIGHT = "CHARGE_IS_RIGHT"
    SHOP_ERRED = "SHOP_ERRED"
    NETWORK_ERRED = "NETWORK_ERRED"
    FRAUD = "FRAUD"
    DUPLICATE = "DUPLICATE"


class Closing(Struct, frozen=True, kw_only=True):
    case_id: UUID
    finding: Finding
    why: str
    state: str
    maker: StaffId
    checker: StaffId | None
    approval_id: ApprovalId | None
    at: datetime
    closed_at: datetime | None

    @property
    def payload_hash(self) -> bytes:
        """What the second person agrees to."""
        return approvals.hash_of([str(self.case_id), self.finding.value, self.why])


async def close(work: Work, case_id: UUID, finding: Finding, why: str) -> Outcome:
    """Close a case, or ask a second person to agree. `why`: without card numbers.

    Refuses: not_found, forbidden, illegal_transition (closed already, or waiting for a second
    person).
    """
    maker = await _acting(work, MAKES)
    case = await _locked(work, case_id)
    if case["state"] == "CLOSED":
        raise Refused(Reason.ILLEGAL_TRANSITION, state="CLOSED")
    if case["state"] == "REQUESTED" and work.now < case["at"] + approvals.LIFE:
        raise Refused(Reason.ILLEGAL_TRANSITION, state="REQUESTED")
    alone = case["short_minor"] == 0
    closing = Closing(
        case_id=case_id,
        finding=finding,
        why=why,
        state="CLOSED" if alone else "REQUESTED",
        maker=maker,
        checker=None,
        approval_id=None,
        at=work.now,
        closed_at=work.now if alone else None,
    )
    approval_id = None
    if not alone:
        subject, payload = str(case_id), closing.payload_hash
        asked = await approvals.request(work, ACT, subject, payload, permission=MAKES)
        approval_id = asked.id
    put = (case_id, case["bank"], finding.value, why, closing.state, maker, approval_id)
    await work.execute(_PUT, *put, work.now, closing.closed_at)
    if alone:
        _noted(work, case, finding)
    return _answer(case_id, closing.state)


async def approve(work: Work, case_id: UUID, second: SecondPerson) -> Outcome:
    """Agree, as another member of staff, and close in the same Work.

    Declines: otp_wrong, locked, approval_expired (the case is open again).
    Refuses: not_found, illegal_transition (nobody asked, or closed), four_eyes, forbidden.
    """
    checker = await _acting(work, APPROVER)
    case = await _locked(work, case_id)
    if case["state"] != "REQUESTED":
        raise Refused(Reason.ILLEGAL_TRANSITION, state=case["state"] or "OPEN")
    closing = await work.struct(Closing, _ONE, case_id)
    assert closing is not None  # noqa: S101 - locked with its case
    assert closing.approval_id is not None  # noqa: S101 - a request has one
    if closing.maker == checker:
        raise Refused(Reason.FOUR_EYES)
    approved = await second(work, closing.approval_id, closing.payload_hash)
    if isinstance(approved, Declined):
        return approved
    spent = await approvals.execute(
        work, closing.approval_id, act=ACT, payload_hash=closing.payload_hash
    )
    if isinstance(spent, Declined):
        return spent
    await work.execute(_CLOSE, case_id, checker, work.now)
    _noted(work, case, closing.finding)
    return _answer(case_id, "CLOSED")


async def closings_of(work: Work, case_ids: Sequence[UUID]) -> dict[UUID, Closing]:
    """What was found about these cases, as far as anything was; a request that nobody agreed to
    within its day is none."""
    found = await work.structs(Closing, _OF_CASES, list(case_ids), work.now - approvals.LIFE)
    return {closing.case_id: closing for closing in found}


async def bank_of(work: Work, case_id: UUID) -> BankId:
    """The bank whose case it is. Refuses: not_found."""
    bank: str | None = await work.value(_BANK_OF, case_id)
    if bank is None:
        raise Refused(Reason.NOT_FOUND)
    return BankId(bank)


async def _acting(work: Work, permission: Permission) -> StaffId:
    if work.actor.kind is not ActorKind.SUPPORT:
        raise Refused(Reason.FORBIDDEN)
    member = await staff.member_of(work, StaffId(UUID(work.actor.id)))
    if not member.may(permission):
        raise Refused(Reason.FORBIDDEN, permission=permission.value)
    return member.id


async def _locked(work: Work, case_id: UUID) -> Record:
    """The case with what was found so far. Its lock is an advisory one: cases never change."""
    await work.execute(_LOCK, str(case_id))
    case = await work.row(_CASE, case_id)
    if case is None:
        raise Refused(Reason.NOT_FOUND)
    return case


def _noted(work: Work, case: Record, finding: Finding) -> None:
    subject = str(case["authorisation_id"])
    work.note(ACT, subject, holder_id=case["holder_id"], reason=finding.value)


def _answer(case_id: UUID, state: str) -> Done:
    answer: dict[str, Any] = {"case_id": str(case_id), "state": state}
    return Done(answer=answer)


_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended('authorisation case ' || $1, 0))"

_CASE: Final = """
select a.bank, a.authorisation_id, a.holder_id, a.short_minor, c.state, c.at
from authorisation_cases a left join authorisation_case_closings c on c.case_id = a.id
where a.id = $1
"""

_COLUMNS: Final = "case_id, finding, why, state, maker, checker, approval_id, at, closed_at"
_ONE: Final = f"select {_COLUMNS} from authorisation_case_closings where case_id = $1"  # noqa: S608 - of constants
_OF_CASES: Final = f"""
select {_COLUMNS} from authorisation_case_closings
where case_id = any($1::uuid[]) and (state = 'CLOSED' or at > $2)
"""  # noqa: S608 - of constants
_BANK_OF: Final = "select bank from authorisation_cases where id = $1"

_PUT: Final = """
insert into authorisation_case_closings (case_id, bank, finding, why, state, maker, approval_id, at,
                                         closed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (case_id) do update
   set finding = excluded.finding, why = excluded.why, state = excluded.state,
       maker = excluded.maker, approval_id = excluded.approval_id, at = excluded.at,
       closed_at = excluded.closed_at
"""

_CLOSE: Final = """
update authorisation_case_closings set state = 'CLOSED', checker = $2, closed_at = $3
where case_id = $1
"""
