"""A case's timeline: what happened around it, oldest first.

Promise: joins the disputed money's own entries, the case's events, what was done for or seen of
the holder and what the holder was told, in the order of one clock (the database's); looking at it
is audited with the case's number and shows in the holder's own feed. Tables owned: none.
Who calls: support door.
"""

from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from wallet import audit, outbox
from wallet.disputes.cases import Case
from wallet.money import Currency, Money
from wallet.work import Work

LONGEST: Final = 100
"""Of what was done for and told to the holder, the newest so many each."""


class Moment(Struct, frozen=True, kw_only=True):
    """One line. `source`: ledger, case, audit or notice; `by`: who, where somebody did it."""

    at: datetime
    source: str
    what: str
    detail: str
    by: str = ""


async def of_case(work: Work, case: Case) -> list[Moment]:
    """What happened, oldest first. The look itself is audited. Refuses: nothing."""
    work.note(
        "dispute.view",
        str(case.id),
        holder_id=case.holder_id,
        case_number=case.case_number,
        seen=("name", "staff_no", "case", "transaction", "notices"),
    )
    moments = [_moved(row) for row in await work.rows(_MONEY, case.transfer_id)]
    moments += [_in_case(row, case) for row in await work.rows(_EVENTS, case.id)]
    moments += [_done(row) for row in await audit.of_holder(work.rows, case.holder_id, LONGEST)]
    moments += [_told(row) for row in await outbox.of_holder(work.rows, case.holder_id, LONGEST)]
    # Stable: of one transaction's lines, the money comes first and the telling last.
    return sorted(moments, key=lambda moment: moment.at)


def _moved(row: Any) -> Moment:
    money = Money(row["amount_minor"], Currency(row["currency"])).display()
    return Moment(at=row["at"], source="ledger", what=f"{row['kind']}.{row['phase']}", detail=money)


def _in_case(row: Any, case: Case) -> Moment:
    amount = row["amount_minor"]
    money = "" if amount is None else Money(amount, case.currency).display()
    detail = " ".join(part for part in (money, row["detail"] or "") if part)
    return Moment(at=row["at"], source="case", what=row["what"], detail=detail, by=row["actor"])


def _done(row: Any) -> Moment:
    return Moment(
        at=row["at"],
        source="audit",
        what=row["act"],
        detail=row["reason"] or "",
        by=f"{row['actor_kind']}:{row['actor_id']}",
    )


def _told(row: Any) -> Moment:
    money = row["body"].get("money")
    detail = "" if money is None else Money(money["minor"], Currency(money["currency"])).display()
    return Moment(at=row["at"], source="notice", what=row["kind"], detail=detail)


# The disputed entry, the hold it was captured from, and whatever came back of it.
_MONEY = """
with disputed as (select * from transfers where id = $1)
select seq, at, kind, phase, amount_minor, currency from disputed
union all
select h.seq, h.at, h.kind, h.phase, h.amount_minor, h.currency
from disputed d join transfers h on h.id = d.pending_id
union all
select r.seq, r.at, r.kind, r.phase, r.amount_minor, r.currency
from disputed d join transfers r
    on r.credit_account_id = d.debit_account_id and r.seq > d.seq
    and r.reference in (d.id, d.pending_id) and r.phase in ('posted', 'capture')
order by seq
"""

_EVENTS = """
select at, what, amount_minor, actor, detail from dispute_events where dispute_id = $1 order by seq
"""
