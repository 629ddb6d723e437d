"""A month's statement of one wallet: opening balance, every entry, closing balance.

Promise: the entries of a month are those between its two borders, Phnom Penh midnights, by the
same rule as `statement.balance_at`; opening plus what came less what went is the closing balance,
or nothing is answered at all. A month is `final` once its last business day is closed: from then
on it never changes. A late entry (begun before the month, booked in it) is shown on its first day.

Who calls: phone door.
"""

import re
from datetime import date, datetime, timedelta
from typing import Final

from msgspec import Struct

from wallet.clock import day_of, midnight_of
from wallet.identifiers import AccountId
from wallet.ledger.statement import Entry, Position, entries_between, position_at
from wallet.money import Currency, Money
from wallet.outcomes import Reason, Refused
from wallet.work import Work

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_INSTANT: Final = timedelta(microseconds=1)
PART: Final = 500
"""Entries read at a time."""


class Month(Struct, frozen=True, kw_only=True):
    """A calendar month in Phnom Penh."""

    year: int
    month: int

    @property
    def first(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        return self._next - timedelta(days=1)

    @property
    def starts(self) -> datetime:
        return midnight_of(self.first)

    @property
    def ends(self) -> datetime:
        return midnight_of(self._next)

    @property
    def _next(self) -> date:
        return date(self.year + self.month // 12, self.month % 12 + 1, 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


class Line(Struct, frozen=True, kw_only=True):
    """An entry and the date it is booked on within the month."""

    entry: Entry
    booked_on: date


class MonthStatement(Struct, frozen=True, kw_only=True):
    """`came` and `went` are the sums of the lines, both positive. `until`: the month's end, or
    now for the month that runs."""

    account_id: AccountId
    number: str
    month: Month
    currency: Currency
    opening: Money
    closing: Money
    came: Money
    went: Money
    lines: list[Line]
    until: datetime
    final: bool


def read_month(text: str) -> Month | None:
    """`2026-01`; None for anything else."""
    match = _MONTH.fullmatch(text)
    if match is None or match.group(1) == "0000" or match.group() == "9999-12":
        return None
    return Month(year=int(match.group(1)), month=int(match.group(2)))


async def of_wallet(work: Work, account_id: AccountId, asked: str, *, most: int) -> MonthStatement:
    """The statement of one wallet of this bank for the month `asked` (`2026-01`).

    Refuses: not_found; statement_month_invalid (not a month, or none between the wallet's opening
    and now); statement_too_long (more than `most` entries).
    """
    wallet = await work.row(_WALLET, account_id, work.bank)
    if wallet is None:
        raise Refused(Reason.NOT_FOUND)
    month = _within(asked, day_of(wallet["opened_at"]), day_of(work.now))
    until = min(month.ends, work.now + _INSTANT)
    start = await position_at(work, account_id, month.starts - _INSTANT)
    end = await position_at(work, account_id, until - _INSTANT)
    found: list[Entry] = []
    place = start
    # In parts, so that no other caller of this process waits for a long month.
    while part := await entries_between(work, account_id, place, end.seq, PART):
        found += part
        place = Position(seq=part[-1].seq, posted_minor=part[-1].balance_minor, held_minor=0)
        if len(found) > most:
            raise Refused(Reason.STATEMENT_TOO_LONG, most=most)
    came = sum(entry.amount_minor for entry in found if entry.amount_minor > 0)
    went = -sum(entry.amount_minor for entry in found if entry.amount_minor < 0)
    if start.posted_minor + came - went != end.posted_minor:
        raise AssertionError(f"the entries of account {account_id} do not lead to its balance")
    currency = Currency(wallet["currency"])
    return MonthStatement(
        account_id=account_id,
        number=wallet["number"],
        month=month,
        currency=currency,
        opening=Money(start.posted_minor, currency),
        closing=Money(end.posted_minor, currency),
        came=Money(came, currency),
        went=Money(went, currency),
        lines=[Line(entry=entry, booked_on=max(day_of(entry.at), month.first)) for entry in found],
        until=until,
        final=bool(await work.value(_CLOSED, work.bank, month.last)),
    )


def _within(asked: str, opened: date, today: date) -> Month:
    month = read_month(asked)
    if month is None or month.last < opened or month.first > today:
        first, last = (f"{day.year:04d}-{day.month:02d}" for day in (opened, today))
        raise Refused(Reason.STATEMENT_MONTH_INVALID, first=first, last=last)
    return month


_WALLET = """
select number, currency, opened_at from accounts
where id = $1 and bank = $2 and kind = 'wallet'
"""

_CLOSED = """
select state = 'CLOSED' from business_days where bank = $1 and day = $2
"""
