"""Cambodian working days: Monday to Friday without public holidays.

Promise: pure; the holidays are yearly data, handed in. The number of days is the operator's
choice, since no statutory period was found. Who calls: cases.
"""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Final

WORKING_DAYS: Final[Mapping[str, int]] = {
    "TOPUP_NOT_DELIVERED": 1,
    "TRANSFER_NOT_RECEIVED": 1,
    "ATM_CASH_NOT_DISPENSED": 5,
}
"""By reason; the rest have `OTHER_DAYS`. Benchmarks: RBI T+1 for transfers, T+5 for ATMs."""

OTHER_DAYS: Final = 15
SATURDAY: Final = 5


def answer_by(reason: str, opened: date, holidays: Collection[date]) -> date:
    """The last day by which the holder has an answer."""
    return after_working_days(opened, WORKING_DAYS.get(reason, OTHER_DAYS), holidays)


def after_working_days(start: date, days: int, holidays: Collection[date]) -> date:
    """The `days`-th working day after `start`, which itself does not count."""
    day = start
    while days > 0:
        day += timedelta(days=1)
        if day.weekday() < SATURDAY and day not in holidays:
            days -= 1
    return day
