"""A bank's own books at its door: business days, and the trial balance each leaves.

Promise: the bank is the clerk's own, and sums only: no holder, no wallet. Who calls: bank clerks,
bank operations.
"""

from datetime import date, datetime
from typing import Annotated, Final

from litestar import get
from msgspec import Meta, Struct

from api.bank.funnel import own
from api.resources import Resources
from api.security import FOR_MACHINES, HouseCaller
from api.wire import PAGE, Cursor, Limit, MoneyOut, Page, money_out, page_of, read_cursor
from wallet.ledger import days
from wallet.ledger.days import BusinessDay, DayState, TrialLine
from wallet.money import Money
from wallet.work import Work

Date = Annotated[str, Meta(examples=["2026-01-12"])]


class ShownDay(Struct, frozen=True, kw_only=True):
    """A business day. `late_entries`: of its entries, those that began before its midnight.
    `difference`: why it does not close."""

    day: Date
    state: DayState
    settles_on: Date
    entries: Annotated[int | None, Meta(examples=[18_204])]
    late_entries: Annotated[int | None, Meta(examples=[2])]
    difference: Annotated[str | None, Meta(examples=["KHR: debits posted 10, credits posted 9"])]
    closed_at: datetime | None


class ShownLine(Struct, frozen=True, kw_only=True):
    """One kind of account in one currency: moved on the day, and stood at its end."""

    kind: Annotated[str, Meta(examples=["wallet"])]
    day_debits: MoneyOut
    day_credits: MoneyOut
    debits: MoneyOut
    credits: MoneyOut
    debits_pending: MoneyOut
    credits_pending: MoneyOut


class Total(Struct, frozen=True, kw_only=True):
    """All kinds of one currency: debits and credits are the same, or the day had not closed."""

    currency: Annotated[str, Meta(examples=["KHR"])]
    debits: MoneyOut
    credits: MoneyOut


class TrialBalance(Struct, frozen=True, kw_only=True):
    bank: Annotated[str, Meta(examples=["ACLEDA"])]
    day: Date
    lines: list[ShownLine]
    totals: list[Total]


@get(
    "/days",
    opt=FOR_MACHINES,
    security=[{"machine": []}],
    summary="Your bank's business days, newest first",
)
async def business_days(
    caller: HouseCaller, resources: Resources, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[ShownDay]:
    before = read_cursor(cursor, tuple[date])

    async def read(work: Work) -> list[BusinessDay]:
        return await days.latest(work, before=before[0] if before else None, limit=limit + 1)

    found = await resources.works.read(caller.actor, own(caller), read)
    page = page_of(found, limit, lambda day: (day.day,))
    return Page(items=[_day(day) for day in page.items], next=page.next)


@get(
    "/days/{day:date}/trial-balance",
    opt=FOR_MACHINES,
    security=[{"machine": []}],
    summary="What a closed day left, by kind of account",
)
async def trial_balance(day: date, caller: HouseCaller, resources: Resources) -> TrialBalance:
    bank = own(caller)
    lines = await resources.works.read(
        caller.actor, bank, lambda work: days.trial_balance(work, day)
    )
    return TrialBalance(
        bank=bank,
        day=day.isoformat(),
        lines=[_line(line) for line in lines],
        totals=_totals(lines),
    )


def _day(day: BusinessDay) -> ShownDay:
    return ShownDay(
        day=day.day.isoformat(),
        state=day.state,
        settles_on=day.settles_on.isoformat(),
        entries=day.entries,
        late_entries=day.late_entries,
        difference=day.difference,
        closed_at=day.closed_at,
    )


def _line(line: TrialLine) -> ShownLine:
    def shown(minor: int) -> MoneyOut:
        return money_out(Money(minor, line.currency))

    return ShownLine(
        kind=line.kind,
        day_debits=shown(line.day_debits),
        day_credits=shown(line.day_credits),
        debits=shown(line.debits_posted),
        credits=shown(line.credits_posted),
        debits_pending=shown(line.debits_pending),
        credits_pending=shown(line.credits_pending),
    )


def _totals(lines: list[TrialLine]) -> list[Total]:
    return [
        Total(
            currency=currency.value,
            debits=money_out(Money(sum(line.debits_posted for line in part), currency)),
            credits=money_out(Money(sum(line.credits_posted for line in part), currency)),
        )
        for currency in sorted({line.currency for line in lines}, key=lambda one: one.value)
        for part in [[line for line in lines if line.currency is currency]]
    ]


HANDLERS: Final = (business_days, trial_balance)
