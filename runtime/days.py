"""`smartid day`: closing business days by hand, and telling what they left.

Promise: the same close as the worker's job, so both may run at once. Called by the cli.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

from wallet.identifiers import BankId
from wallet.ledger import days
from wallet.ledger.days import BusinessDay, DayState, TrialLine
from wallet.money import Money
from wallet.outcomes import Reason, Refused
from wallet.work import SYSTEM, Works

PATIENCE_S: Final = 60.0
"""How long transactions of before midnight are waited for."""

LOOK_EVERY_S: Final = 0.2

Say = Callable[[str], None]


async def close(bank: str, which: str | None, works: Works, say: Say = print) -> bool:
    """Close one day; whether it is closed now."""
    code, day = BankId(bank), _day(which, say)
    if which is not None and day is None:
        return False
    if day is None:
        unclosed = await works.read(SYSTEM, code, days.unclosed)
        if unclosed is None:
            say(f"{bank} has no business day yet: the worker opens the first")
            return False
        day = unclosed.day
    try:
        closed = await _until_final(works, code, day)
    except Refused as refused:
        say(_REFUSED.get(refused.reason, refused.reason.value).format(bank=bank, day=day))
        return False
    if closed.state is DayState.CLOSED:
        say(
            f"{bank} {day} is closed: {closed.entries} entries, {closed.late_entries} of them "
            f"begun before it; settles on {closed.settles_on}"
        )
        return True
    say(f"{bank} {day} is NOT closed: {closed.difference or 'transactions of before still run'}")
    return False


async def tell_trial_balance(bank: str, which: str | None, works: Works, say: Say = print) -> bool:
    """Print a closed day's trial balance; whether there is one."""
    code, day = BankId(bank), _day(which, say)
    if which is not None and day is None:
        return False
    if day is None:
        latest = await works.read(SYSTEM, code, lambda work: days.latest(work, limit=2))
        closed = [one.day for one in latest if one.state is DayState.CLOSED]
        if not closed:
            say(f"{bank} has closed no business day yet")
            return False
        day = closed[0]
    wanted = day
    try:
        lines = await works.read(SYSTEM, code, lambda work: days.trial_balance(work, wanted))
    except Refused as refused:
        say(_REFUSED.get(refused.reason, refused.reason.value).format(bank=bank, day=day))
        return False
    say(f"{bank} {day}: trial balance")
    for text in table(lines):
        say(text)
    return True


def table(lines: Sequence[TrialLine]) -> list[str]:
    """The lines and, for each currency, the sums."""
    told = [f"{'':4}{'kind':22}{'day debits':>20}{'day credits':>20}{'debits':>22}{'credits':>22}"]
    for currency in sorted({line.currency for line in lines}, key=lambda one: one.value):
        part = [line for line in lines if line.currency is currency]
        rows = [
            (line.kind, line.day_debits, line.day_credits, line.debits_posted, line.credits_posted)
            for line in part
        ]
        sums = ("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:]))
        for kind, *figures in (*rows, sums):
            shown = [Money(int(figure), currency).display().split(" ")[0] for figure in figures]
            told.append(
                f"{currency.value:4}{kind:22}{shown[0]:>20}{shown[1]:>20}"
                f"{shown[2]:>22}{shown[3]:>22}"
            )
    return told


async def _until_final(works: Works, bank: BankId, day: date) -> BusinessDay:
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        closed = await days.close(works, bank, day, actor=SYSTEM)
        waits = closed.state is not DayState.CLOSED and closed.difference is None
        if not waits or asyncio.get_running_loop().time() > deadline:
            return closed
        await asyncio.sleep(LOOK_EVERY_S)


def _day(which: str | None, say: Say) -> date | None:
    try:
        return None if which is None else date.fromisoformat(which)
    except ValueError:
        say(f"{which!r} is no date: write it as 2026-01-12")
        return None


_REFUSED: Final = {
    Reason.NOT_FOUND: "{bank} has no business day {day}, or days before it are not closed",
    Reason.BUSINESS_DAY_NOT_OVER: "{bank} {day} is not over yet",
    Reason.BUSINESS_DAY_NOT_CLOSED: "{bank} {day} is not closed yet",
}
