"""A bank's own books at its door: business days, the trial balance each leaves, house accounts.

Promise: the bank is the clerk's own; sums, and entries of house accounts: no holder, no wallet.
Who calls: bank clerks, bank operations.
"""

from datetime import date, datetime
from typing import Annotated, Final
from uuid import UUID

from litestar import get
from msgspec import Meta, Struct

from api.bank.funnel import own
from api.resources import Resources
from api.security import FOR_MACHINES, HouseCaller, StaffCaller
from api.wire import PAGE, Cursor, Limit, MoneyOut, Page, money_out, page_of, read_cursor
from wallet.identifiers import AccountId
from wallet.ledger import days, house
from wallet.ledger.days import BusinessDay, DayState, TrialLine
from wallet.ledger.house import HouseAccount
from wallet.ledger.statement import Entry
from wallet.money import Money
from wallet.outcomes import Reason, Refused
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


class ShownAccount(Struct, frozen=True, kw_only=True):
    """A house account. `balance`: credits less debits. `detail` tells accounts of a kind apart."""

    id: Annotated[int, Meta(examples=[7])]
    kind: Annotated[str, Meta(examples=["suspense"])]
    detail: Annotated[str, Meta(examples=["topups"])]
    balance: MoneyOut
    debits_pending: MoneyOut
    credits_pending: MoneyOut


class ShownEntry(Struct, frozen=True, kw_only=True):
    """A line: `amount` is below zero when money left the account; `balance` is the one after it."""

    transfer_id: UUID
    kind: Annotated[str, Meta(examples=["topup"])]
    amount: MoneyOut
    balance: MoneyOut
    at: datetime
    reference: UUID | None


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


@get("/accounts", summary="Your bank's own accounts, and what stands on each")
async def accounts(
    caller: StaffCaller, resources: Resources, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[ShownAccount]:
    after = read_cursor(cursor, tuple[int])

    async def read(work: Work) -> list[HouseAccount]:
        place = AccountId(after[0]) if after else None
        return await house.house_accounts(work, after=place, limit=limit + 1)

    found = await resources.works.read(caller.actor, own(caller), read)
    page = page_of(found, limit, lambda account: (account.id,))
    return Page(items=[_account(one) for one in page.items], next=page.next)


@get(
    "/accounts/{account_id:int}/entries",
    summary="Entries of one of your bank's own accounts, newest first",
)
async def account_entries(
    account_id: int,
    caller: StaffCaller,
    resources: Resources,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[ShownEntry]:
    """Only what is final: the last seconds may be missing, and nothing appears below a line that
    was shown."""
    before = read_cursor(cursor, tuple[int])

    async def read(work: Work) -> list[Entry] | None:
        account = AccountId(account_id)
        if not 0 < account_id < 2**63 or await house.house_account_of(work, account) is None:
            return None
        place = before[0] if before else None
        return await house.house_entries(work, account, before_seq=place, limit=limit + 1)

    found = await resources.works.read(caller.actor, own(caller), read)
    if found is None:
        raise Refused(Reason.NOT_FOUND)
    page = page_of(found, limit, lambda entry: (entry.seq,))
    return Page(items=[_entry(one) for one in page.items], next=page.next)


def _account(account: HouseAccount) -> ShownAccount:
    return ShownAccount(
        id=account.id,
        kind=account.kind.value,
        detail=account.detail,
        balance=money_out(account.balance),
        debits_pending=money_out(account.debits_pending),
        credits_pending=money_out(account.credits_pending),
    )


def _entry(entry: Entry) -> ShownEntry:
    return ShownEntry(
        transfer_id=entry.transfer_id,
        kind=entry.kind,
        amount=money_out(Money(entry.amount_minor, entry.currency)),
        balance=money_out(Money(entry.balance_minor, entry.currency)),
        at=entry.at,
        reference=entry.reference,
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


HANDLERS: Final = (business_days, trial_balance, accounts, account_entries)
