"""Which limit sheet holds when: the bank's own, before its first the programme's.

Promise: a sheet that counts what the one before did not, or no longer counts what it did, takes
effect at the start of that window, so no counter ever stands for a part of its day or month.
Who calls: counting; proposals (`decide_change`).
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from wallet import terms
from wallet.limits.rules import DEFAULT, Compiled, LimitSheet, Window, begins
from wallet.outcomes import Reason, Refused
from wallet.terms import InForce, Sort
from wallet.work import Work


class Sheets:
    """A bank's limit sheets, by the moment each takes effect."""

    def __init__(self, own: InForce[Compiled]) -> None:
        self._own = own

    def at(self, moment: datetime) -> Compiled:
        term = self._own.at(moment)
        return _DEFAULT if term is None else term.what


async def sheets_of(work: Work) -> Sheets:
    return Sheets(await terms.in_force(work, Sort.LIMITS, _ready))


def _ready(body: Any) -> Compiled:
    return Compiled(msgspec.convert(body, LimitSheet))


def decide_change(before: LimitSheet, after: LimitSheet, effective_from: datetime | None) -> None:
    """Refuses: INVALID_REQUEST (a number of acts within one act; a lifetime, which only a card and
    its holder have); CONFLICT (what is counted anew, or no longer, must change at the start of a
    day, or of a month)."""
    for place, rule in enumerate(after.rules):
        if rule.window is Window.LIFETIME:
            raise Refused(Reason.INVALID_REQUEST, field=f"rules[{place}].window")
        if rule.window is Window.PAYMENT and rule.most_count not in (None, 0):
            raise Refused(Reason.INVALID_REQUEST, field=f"rules[{place}].most_count")
    windows = {window for _, window in _counted(before) ^ _counted(after)}
    if not windows:
        return
    starts = Window.MONTH if Window.MONTH in windows else Window.DAY
    if effective_from is None or not begins(starts, effective_from):
        raise Refused(Reason.CONFLICT, field="effective_from", starts_a=starts.value)


def _counted(sheet: LimitSheet) -> frozenset[tuple[str, Window]]:
    """What a sheet counts beyond the day of each currency, which is counted always."""
    return frozenset(
        (f"{rule.per}:{rule.measure}", rule.window)
        for rule in sheet.rules
        if rule.window is not Window.PAYMENT and not _always(rule.measure)
    )


def _always(measure: str) -> bool:
    return measure in ("day/any/any/KHR", "day/any/any/USD")


_DEFAULT: Final = Compiled(DEFAULT)
