"""The only source of "now", and Cambodian calendar days.

Promise: Works take their time from PostgreSQL, so every process agrees; tests turn one clock by
hand and everything follows it. Who calls: work, access, throttle, doors' readers.
"""

from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Final, Protocol, runtime_checkable

PHNOM_PENH: Final = timezone(timedelta(hours=7), "Asia/Phnom_Penh")
"""+07:00 all year: Cambodia keeps no summer time (IANA zone data)."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    def at(self, database_now: datetime) -> datetime:
        """The moment a Work happens, given what the database's clock says."""
        ...


class SystemClock:
    """Real time: the machine's for reading, the database's for every Work."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def at(self, database_now: datetime) -> datetime:
        return database_now


@runtime_checkable
class Advancing(Protocol):
    """A clock that is advanced by whoever holds it: a test's."""

    def now(self) -> datetime: ...

    def advance(self, by: timedelta) -> None: ...


class AdvancedClock:
    """Real time and a bit: of a demonstration, whose presenter lets days pass. How far ahead it is
    stands in the database, for every process (`simulation`); here is what this one knows of it."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def at(self, database_now: datetime) -> datetime:
        return database_now + self._ahead

    def keep_up(self, ahead: timedelta) -> None:
        """Go so far ahead of real time; never back."""
        self._ahead = max(self._ahead, ahead)


class Ahead:
    """Another clock and a while: as it stands for whoever has waited so long for an answer."""

    def __init__(self, clock: Clock, by: timedelta) -> None:
        self._clock = clock
        self._by = by

    def now(self) -> datetime:
        return self._clock.now() + self._by

    def at(self, database_now: datetime) -> datetime:
        return self._clock.at(database_now)


class TurnedClock:
    """A clock that stands still until a test advances it."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment

    def at(self, database_now: datetime) -> datetime:
        return self._moment

    def advance(self, by: timedelta) -> None:
        self._moment += by


@lru_cache(1_024)
def day_of(moment: datetime) -> date:
    """The Phnom Penh calendar day a moment falls on. Kept: a group asks it of one moment over and
    over."""
    return moment.astimezone(PHNOM_PENH).date()


def midnight_of(day: date) -> datetime:
    """The moment a Phnom Penh day begins, in UTC."""
    return datetime.combine(day, time.min, PHNOM_PENH).astimezone(UTC)
