"""Cases: a holder disputes one transaction; support finds it, reads what happened, closes it.

Promise: one case a transaction; what was disputed is always recovered + written off + denied +
remaining (a constraint as well as the rule); a closed case has nothing remaining. Looking at a
case is audited with its number and shows in the holder's own feed.

    OPEN --refunds, until nothing remains--> OPEN --close--> CLOSED
    disposition: WON (all given back), PARTIALLY_WON, DENIED (nothing), WITHDRAWN (by the holder)

Tables owned: disputes, dispute_events, public_holidays. Who calls: phone door (open, list),
support door (find, timeline, close), refunds.
"""

import enum
from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet import audit, outbox
from wallet.clock import PHNOM_PENH, day_of
from wallet.database import UniqueViolation
from wallet.disputes.deadlines import answer_by
from wallet.events import DisputeClosed, DisputeOpened
from wallet.identifiers import BankId, DisputeId, HolderId, TransferId, new_id
from wallet.money import Currency, Money
from wallet.outcomes import Done, Outcome, Reason, Refused
from wallet.work import Work

DISPUTABLE_FOR: Final = timedelta(days=120)
LONGEST_STATEMENT: Final = 1000
TIMELINE: Final = 100


class Cause(enum.StrEnum):
    """Why a holder disputes; the names are the card industry's where it has one."""

    TOPUP_NOT_DELIVERED = "TOPUP_NOT_DELIVERED"
    TRANSFER_NOT_RECEIVED = "TRANSFER_NOT_RECEIVED"
    ATM_CASH_NOT_DISPENSED = "ATM_CASH_NOT_DISPENSED"
    DUPLICATE_CHARGE = "DUPLICATE_CHARGE"
    INCORRECT_AMOUNT = "INCORRECT_AMOUNT"
    NO_AUTHORIZATION = "NO_AUTHORIZATION"
    GOODS_NOT_RECEIVED = "GOODS_NOT_RECEIVED"
    PAID_BY_OTHER_MEANS = "PAID_BY_OTHER_MEANS"
    OTHER = "OTHER"


class CaseState(enum.StrEnum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"


class Disposition(enum.StrEnum):
    WON = "WON"
    PARTIALLY_WON = "PARTIALLY_WON"
    DENIED = "DENIED"
    WITHDRAWN = "WITHDRAWN"


class Case(Struct, frozen=True, kw_only=True):
    """A case with its liability: original = recovered + written off + denied + remaining."""

    id: DisputeId
    case_number: str
    bank: BankId
    holder_id: HolderId
    transfer_id: TransferId
    reason: Cause
    statement: str
    state: CaseState
    disposition: Disposition | None
    currency: Currency
    original_minor: int
    recovered_minor: int
    written_off_minor: int
    denied_minor: int
    remaining_minor: int
    answer_by: date
    opened_at: datetime
    closed_at: datetime | None

    @property
    def remaining(self) -> Money:
        return Money(self.remaining_minor, self.currency)


class Moment(Struct, frozen=True, kw_only=True):
    """One line of a timeline. `source`: case, audit or notice."""

    at: datetime
    source: str
    what: str
    detail: str


async def open_case(
    work: Work, holder_id: HolderId, transfer_id: TransferId, cause: Cause, statement: str
) -> Outcome:
    """Dispute a transaction that took money from one of the holder's wallets.

    Refuses: not_found (no such transaction of this holder's), dispute_too_late, dispute_exists.
    """
    taken = await work.row(_TAKEN, transfer_id, holder_id)
    if taken is None:
        raise Refused(Reason.NOT_FOUND)
    if taken["at"] < work.now - DISPUTABLE_FOR:
        raise Refused(Reason.DISPUTE_TOO_LATE)
    due = answer_by(cause.value, day_of(work.now), await holidays(work))
    case_id = DisputeId(new_id())
    year = work.now.astimezone(PHNOM_PENH).year
    try:
        number: str = await work.value(
            _OPEN,
            case_id,
            f"D-{year}-",
            taken["bank"],
            holder_id,
            transfer_id,
            cause.value,
            statement,
            taken["currency"],
            taken["amount_minor"],
            due,
            work.now,
        )
    except UniqueViolation:
        raise Refused(Reason.DISPUTE_EXISTS) from None
    await record(work, taken["bank"], case_id, "WORKFLOW", "OPENED", detail=cause.value)
    work.note("dispute.open", str(case_id), holder_id=holder_id, case_number=number)
    work.emit(
        DisputeOpened(
            holder_id=holder_id,
            dispute_id=str(case_id),
            case_number=number,
            answer_by=due.isoformat(),
        )
    )
    return Done(
        answer={
            "dispute_id": str(case_id),
            "case_number": number,
            "state": CaseState.OPEN.value,
            "answer_by": due.isoformat(),
        }
    )


async def of_holder(work: Work, holder_id: HolderId, limit: int = 100) -> list[Case]:
    """A holder's cases, newest first."""
    return await work.structs(Case, f"{_CASE} {_OF_HOLDER}", holder_id, limit)


async def waiting(
    work: Work, *, after: tuple[date, DisputeId] | None = None, limit: int = 50
) -> list[Case]:
    """Open cases in order of their deadline: what support should look at first."""
    day, last = after or (date.min, DisputeId(_NO_ID))
    return await work.structs(Case, f"{_CASE} {_WAITING}", day, last, limit)


async def find(work: Work, case_id: DisputeId) -> Case:
    """One case. Refuses: not_found."""
    return _found(await work.struct(Case, f"{_CASE} where id = $1", case_id))


async def by_number(work: Work, case_number: str) -> Case | None:
    return await work.struct(Case, f"{_CASE} where case_number = $1", case_number)


async def locked(work: Work, case_id: DisputeId) -> Case:
    """One case, locked until this Work ends. Refuses: not_found."""
    return _found(await work.struct(Case, f"{_CASE} where id = $1 for update", case_id))


async def timeline(work: Work, case: Case) -> list[Moment]:
    """What happened around a case, oldest first: its own events, what was done for or seen of the
    holder, and what the holder was told. The look itself is audited."""
    work.note("dispute.view", str(case.id), holder_id=case.holder_id, case_number=case.case_number)
    moments = [
        Moment(at=row["at"], source="case", what=row["what"], detail=_case_detail(row, case))
        for row in await work.rows(_EVENTS, case.id)
    ]
    for row in await audit.of_holder(work.rows, case.holder_id, TIMELINE):
        moments.append(
            Moment(at=row["at"], source="audit", what=row["act"], detail=row["actor_kind"])
        )
    for row in await outbox.of_holder(work.rows, case.holder_id, TIMELINE):
        moments.append(
            Moment(at=row["at"], source="notice", what=row["kind"], detail=_told(row["body"]))
        )
    return sorted(moments, key=lambda moment: moment.at)


async def close(work: Work, case_id: DisputeId, why: str, *, withdrawn: bool = False) -> Outcome:
    """Close a case: what remains is denied (or withdrawn by the holder).

    Refuses: not_found, dispute_closed, conflict while a refund waits for a second person.
    """
    case = await locked(work, case_id)
    if case.state is CaseState.CLOSED:
        raise Refused(Reason.DISPUTE_CLOSED)
    if await work.value(_REFUND_WAITS, case_id):
        raise Refused(Reason.CONFLICT)
    disposition = decide_disposition(case, withdrawn=withdrawn)
    await work.execute(_CLOSE, case_id, disposition.value, work.now)
    await record(work, case.bank, case_id, "WORKFLOW", "CLOSED", detail=why)
    work.note(
        "dispute.close",
        str(case_id),
        holder_id=case.holder_id,
        case_number=case.case_number,
        reason=why,
    )
    work.emit(
        DisputeClosed(
            holder_id=case.holder_id,
            dispute_id=str(case_id),
            case_number=case.case_number,
            disposition=disposition.value,
        )
    )
    return Done(answer={"dispute_id": str(case_id), "disposition": disposition.value})


async def record(
    work: Work,
    bank: BankId,
    case_id: DisputeId,
    kind: str,
    what: str,
    *,
    amount_minor: int | None = None,
    detail: str | None = None,
) -> None:
    """Add an event to a case."""
    actor = f"{work.actor.kind.value}:{work.actor.id}"
    await work.execute(_RECORD, bank, case_id, kind, what, amount_minor, actor, detail, work.now)


async def count_given_back(work: Work, case: Case, amount_minor: int, *, recovered: bool) -> None:
    """Move a refund's amount out of what remains; the constraint refuses more than that."""
    await work.execute(_COUNT, case.id, amount_minor, recovered)


async def holidays(work: Work) -> Collection[date]:
    return {row["day"] for row in await work.rows("select day from public_holidays")}


def decide_disposition(case: Case, *, withdrawn: bool) -> Disposition:
    """How a case ends, from what was given back."""
    given_back = case.recovered_minor + case.written_off_minor
    if withdrawn:
        return Disposition.WITHDRAWN
    if given_back == case.original_minor:
        return Disposition.WON
    return Disposition.PARTIALLY_WON if given_back else Disposition.DENIED


def _found(case: Case | None) -> Case:
    if case is None:
        raise Refused(Reason.NOT_FOUND)
    return case


def _case_detail(row: Any, case: Case) -> str:
    amount = row["amount_minor"]
    money = "" if amount is None else Money(amount, case.currency).display()
    return " ".join(part for part in (money, row["detail"] or "") if part)


def _told(body: dict[str, Any]) -> str:
    money = body.get("money")
    if money is None:
        return ""
    return Money(money["minor"], Currency(money["currency"])).display()


_NO_ID: Final = UUID(int=0)

_TAKEN = """
select t.bank, t.amount_minor, t.currency, t.at
from transfers t join accounts a on a.id = t.debit_account_id
where t.id = $1 and a.holder_id = $2 and t.phase in ('posted', 'capture')
union all
select t.bank, t.amount_minor, t.currency, t.at
from transfers h join transfers t on t.pending_id = h.id and t.phase = 'capture'
join accounts a on a.id = h.debit_account_id
where h.id = $1 and a.holder_id = $2
"""

_OPEN = """
insert into disputes (id, case_number, bank, holder_id, transfer_id, reason, statement, state,
                      currency, original_minor, remaining_minor, answer_by, opened_at)
values ($1, $2::text || lpad(nextval('dispute_numbers')::text, 6, '0'), $3, $4, $5, $6, $7,
        'OPEN', $8, $9, $9, $10, $11)
returning case_number
"""

_CASE = """
select id, case_number, bank, holder_id, transfer_id, reason, statement, state, disposition,
       currency, original_minor, recovered_minor, written_off_minor, denied_minor,
       remaining_minor, answer_by, opened_at, closed_at
from disputes
"""

_OF_HOLDER = "where holder_id = $1 order by opened_at desc, id desc limit $2"

_WAITING = """
where state = 'OPEN' and (answer_by, id) > ($1, $2) order by answer_by, id limit $3
"""

_EVENTS = """
select at, kind, what, amount_minor, actor, detail from dispute_events
where dispute_id = $1 order by seq
"""

_REFUND_WAITS = """
select exists (select 1 from refunds where dispute_id = $1 and state = 'REQUESTED')
"""

_CLOSE = """
update disputes
set state = 'CLOSED', disposition = $2, closed_at = $3,
    denied_minor = denied_minor + remaining_minor, remaining_minor = 0
where id = $1
"""

_RECORD = """
insert into dispute_events (bank, dispute_id, kind, what, amount_minor, actor, detail, at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""

_COUNT = """
update disputes
set recovered_minor = recovered_minor + case when $3 then $2::bigint else 0 end,
    written_off_minor = written_off_minor + case when $3 then 0 else $2::bigint end,
    remaining_minor = remaining_minor - $2::bigint
where id = $1
"""
