"""Cases: a holder disputes one transaction; support finds it, gives back, and closes it.

Promise: one case a transaction, by whichever of its ids it is named (the hold's or the capture's);
what was disputed is always recovered + written off + denied + remaining (a constraint as well as
the rule); a closed case has nothing remaining. What came back before is not disputed again.

    OPEN --refunds, until nothing remains--> OPEN --close--> CLOSED
    disposition: WON (all given back), PARTIALLY_WON, DENIED (nothing), WITHDRAWN (by the holder)

Tables owned: disputes, dispute_events, public_holidays. Who calls: phone door (open, list),
support door (find), refunds, closing, seed (holidays).
"""

import enum
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.authorisations import reading as purchases
from wallet.clock import PHNOM_PENH, day_of
from wallet.database import Record, UniqueViolation
from wallet.disputes.deadlines import answer_by
from wallet.disputes.statements import without_card_numbers
from wallet.events import DisputeOpened
from wallet.identifiers import BankId, DisputeId, HolderId, TransferId, new_id
from wallet.money import Currency, Money
from wallet.outcomes import Done, Outcome, Reason, Refused
from wallet.work import Work

DISPUTABLE_FOR: Final = timedelta(days=120)
LONGEST_STATEMENT: Final = 1000


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


async def open_case(
    work: Work, holder_id: HolderId, transfer_id: TransferId, cause: Cause, statement: str
) -> Outcome:
    """Dispute a transaction that took money from one of the holder's wallets; money only held is
    not taken yet. What came back of it already is not in dispute.

    Refuses: not_found (no such transaction of this holder's), dispute_too_late, dispute_exists,
    conflict (all of it has come back).
    """
    taken, disputed_minor = await _disputable(work, holder_id, transfer_id)
    due = answer_by(cause.value, day_of(work.now), await holidays(work))
    case_id = DisputeId(new_id())
    year = work.now.astimezone(PHNOM_PENH).year
    try:
        opened = await work.struct(
            Case,
            _OPEN,
            case_id,
            f"D-{year}-",
            taken["bank"],
            holder_id,
            taken["id"],
            cause.value,
            without_card_numbers(statement),
            taken["currency"],
            disputed_minor,
            due,
            work.now,
        )
    except UniqueViolation:
        raise Refused(Reason.DISPUTE_EXISTS) from None
    case = _found(opened)
    await record(work, case, "WORKFLOW", "OPENED", detail=cause.value)
    work.note("dispute.open", str(case_id), holder_id=holder_id, case_number=case.case_number)
    work.emit(
        DisputeOpened(
            holder_id=holder_id,
            dispute_id=str(case_id),
            case_number=case.case_number,
            answer_by=due.isoformat(),
        )
    )
    return Done(
        answer={
            "dispute_id": str(case_id),
            "case_number": case.case_number,
            "state": case.state.value,
            "answer_by": due.isoformat(),
        }
    )


async def _disputable(
    work: Work, holder_id: HolderId, transfer_id: TransferId
) -> tuple[Record, int]:
    """The transfer that took the money, and how many minor units of it have not come back."""
    # A purchase with a card is named by its own id, or by that of the transfer that took the money.
    named = await purchases.taken_by(work, holder_id, transfer_id)
    taken = await work.row(_TAKEN, named or transfer_id, holder_id)
    if taken is None:
        raise Refused(Reason.NOT_FOUND)
    if taken["at"] < work.now - DISPUTABLE_FOR:
        raise Refused(Reason.DISPUTE_TOO_LATE)
    disputed_minor = taken["amount_minor"] - await work.value(_CAME_BACK, taken["id"])
    if disputed_minor <= 0:
        raise Refused(Reason.CONFLICT, field="transaction_id")
    return taken, disputed_minor


async def of_holder(
    work: Work,
    holder_id: HolderId,
    *,
    before: tuple[datetime, DisputeId] | None = None,
    limit: int = 100,
) -> list[Case]:
    """A holder's cases, newest first; `before`: the moment and id of the last one seen."""
    at, last = before or (_FOREVER, DisputeId(_NO_ID))
    return await work.structs(Case, f"{_CASE} {_OF_HOLDER}", holder_id, at, last, limit)


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
    """The case with this number, as printed (`D-2026-000001`) or in small letters."""
    return await work.struct(Case, f"{_CASE} where case_number = $1", case_number.strip().upper())


async def locked(work: Work, case_id: DisputeId) -> Case:
    """One case, locked until this Work ends. Refuses: not_found."""
    return _found(await work.struct(Case, f"{_CASE} where id = $1 for update", case_id))


async def came_back_elsewhere(work: Work, case: Case) -> int:
    """Minor units of the disputed transaction that came back since the case opened, other than by
    its refunds: a top-up the operator took back, say."""
    row = await work.row(_CAME_BACK_SINCE, case.transfer_id)
    if row is None:
        raise Refused(Reason.NOT_FOUND)
    before = int(row["amount_minor"]) - case.original_minor
    return int(row["came_back"]) - before


async def in_dispute(work: Work) -> list[UUID]:
    """The transactions of the bank's open cases, by every id they have: their evidence is kept."""
    return [row["id"] for row in await work.rows(_IN_DISPUTE)]


async def finish(work: Work, case: Case, disposition: Disposition) -> None:
    """End a case: what remains of it is denied."""
    await work.execute(_FINISH, case.id, disposition.value, work.now)


async def record(
    work: Work,
    case: Case,
    kind: str,
    what: str,
    *,
    amount_minor: int | None = None,
    detail: str | None = None,
) -> None:
    """Add an event to a case. `kind`: WORKFLOW, FINANCIAL or LIABILITY."""
    actor = f"{work.actor.kind.value}:{work.actor.id}"
    await work.execute(
        _RECORD, case.bank, case.id, kind, what, amount_minor, actor, detail, work.now
    )


async def count_given_back(work: Work, case: Case, amount_minor: int, *, recovered: bool) -> None:
    """Move a refund's amount out of what remains; the constraint refuses more than that."""
    await work.execute(_COUNT, case.id, amount_minor, recovered)


async def holidays(work: Work) -> Collection[date]:
    return {row["day"] for row in await work.rows("select day from public_holidays")}


async def declare_holidays(work: Work, named: Mapping[date, str]) -> None:
    """Make days public holidays; deadlines of cases opened from now on count them. A day already
    known takes the name given now. Refuses: nothing."""
    await work.execute(_DECLARE, list(named), list(named.values()))


def _found(case: Case | None) -> Case:
    if case is None:
        raise Refused(Reason.NOT_FOUND)
    return case


async def forget_statements(work: Work, holder_id: HolderId) -> None:
    """Take an erased holder's own words off their closed cases. Refuses: CONFLICT (one is open)."""
    if await work.value(_ANY_OPEN, holder_id):
        raise Refused(Reason.CONFLICT, field="case")
    await work.execute(_FORGET, holder_id)


_ANY_OPEN = "select exists (select from disputes where holder_id = $1 and state = 'OPEN')"
_FORGET = "update disputes set statement = '' where holder_id = $1"


_NO_ID: Final = UUID(int=0)
_FOREVER: Final = datetime.max.replace(tzinfo=UTC)

# A captured hold is known to its holder by either id, and is one transaction.
_TAKEN = """
select t.id, t.bank, t.amount_minor, t.currency, t.at
from transfers t join accounts a on a.id = t.debit_account_id
where (t.id = $1 or t.pending_id = $1) and t.phase in ('posted', 'capture') and a.holder_id = $2
"""

# Refunds of ours are counted by the case itself; a fee is beside the price that is disputed.
_SUM_CAME_BACK = """
select coalesce(sum(r.amount_minor), 0)::bigint from transfers r
where r.credit_account_id = t.debit_account_id and r.seq > t.seq
  and r.reference in (t.id, t.pending_id)
  and r.phase in ('posted', 'capture') and r.kind not in ('refund', 'fee')
"""

_CAME_BACK = f"select ({_SUM_CAME_BACK}) from transfers t where t.id = $1"  # noqa: S608 - of constants

_CAME_BACK_SINCE = f"""
select t.amount_minor, ({_SUM_CAME_BACK}) as came_back from transfers t where t.id = $1
"""  # noqa: S608 - of constants

_FIELDS = """id, case_number, bank, holder_id, transfer_id, reason, statement, state, disposition,
       currency, original_minor, recovered_minor, written_off_minor, denied_minor,
       remaining_minor, answer_by, opened_at, closed_at"""

# Six digits at least; the number grows beyond, for lpad alone would cut it.
_OPEN = f"""
with next as (select nextval('dispute_numbers')::text as number)
insert into disputes (id, case_number, bank, holder_id, transfer_id, reason, statement, state,
                      currency, original_minor, remaining_minor, answer_by, opened_at)
select $1, $2::text || lpad(number, greatest(6, length(number)), '0'), $3, $4, $5, $6, $7,
       'OPEN', $8, $9, $9, $10, $11
from next
returning {_FIELDS}
"""  # noqa: S608 - of constants

_CASE = f"select {_FIELDS} from disputes"  # noqa: S608 - of constants

_OF_HOLDER = """
where holder_id = $1 and (opened_at, id) < ($2, $3) order by opened_at desc, id desc limit $4
"""

_WAITING = """
where state = 'OPEN' and (answer_by, id) > ($1, $2) order by answer_by, id limit $3
"""

# Without nulls: nothing is unlike all of a list with one in it.
_IN_DISPUTE = """
select named.id from disputes d join transfers t on t.id = d.transfer_id,
     unnest(array[t.id, t.pending_id, t.reference]) as named (id)
where d.state = 'OPEN' and named.id is not null
"""

_FINISH = """
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

_DECLARE = """
insert into public_holidays (day, name) select * from unnest($1::date[], $2::text[])
on conflict (day) do update set name = excluded.name
"""
