"""What an imagined network and a demonstration's clock share: one truth for all processes.

Promise: faults planted between the imagined network and us, what its token service remembers and
how far the clock was advanced are rows, so that every process behind one address, and the worker,
knows the same of them; a fault is met once, whoever meets it. Time only goes forward, over
restarts too. Whoever begins anything after an advance was answered is on the new time, because it
looks first (`keep_up`). Nothing of this is read, or can be written, where there is no simulation;
a production process refuses a database whose clock was advanced.

Tables owned: simulation, simulation_tokens. Who calls: the sim door; the frame and the worker
(`keep_up`); runtime (`refuse_advanced`).
"""

from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.clock import AdvancedClock, Advancing, Clock
from wallet.database import CONNECTION_LOST, SERVER_EXHAUSTED, Database
from wallet.outcomes import Reason, Refused
from wallet.work import SYSTEM, Work, Works


class AdvancedDatabaseError(Exception):
    """Its rows tell of a time that has not come: production is not begun on it."""


class Faults(Struct, frozen=True, kw_only=True):
    """Of the wire: how many of the next messages meet each; or which a message meets."""

    duplicate: int = 0
    late: int = 0
    lost_answer: int = 0


class KnownToken(Struct, frozen=True, kw_only=True):
    """What the imagined token service holds: a state, after which of our orders."""

    state: str
    version: int


# the clock


async def keep_up(database: Database, clock: Clock) -> None:
    """Bring this process's clock to where the demonstration is; a real one is left alone, and where
    the database cannot say, it goes on with what it knows."""
    if isinstance(clock, AdvancedClock):
        with suppress(*CONNECTION_LOST, *SERVER_EXHAUSTED):
            clock.keep_up(await _ahead(database))


async def let_pass(works: Works, by: timedelta) -> None:
    """Advance the clock of every process. Refuses: CONFLICT where it is the real one."""
    clock = works.clock
    if isinstance(clock, AdvancedClock):
        seconds = round(by.total_seconds())

        async def act(work: Work) -> int:
            ahead: int = await work.value(_ADVANCE, seconds)
            return ahead

        clock.keep_up(timedelta(seconds=await works.perform(SYSTEM, None, act)))
    elif isinstance(clock, Advancing):
        clock.advance(by)
    else:
        raise Refused(Reason.CONFLICT)


async def refuse_advanced(database: Database) -> None:
    """Refuses: AdvancedDatabaseError."""
    if await _ahead(database):
        raise AdvancedDatabaseError(
            "this database belongs to a demonstration whose clock was advanced; production needs"
            " one of its own"
        )


async def _ahead(database: Database) -> timedelta:
    rows = await database.rows("select ahead_s from simulation")
    return timedelta(seconds=rows[0]["ahead_s"] if rows else 0)


_ADVANCE: Final = """
insert into simulation as s (ahead_s) values ($1)
on conflict (one) do update set ahead_s = s.ahead_s + excluded.ahead_s
returning ahead_s
"""


# the wire


async def plant(works: Works, faults: Faults) -> None:
    """From now on so many messages meet each fault, in place of what was planted before."""

    async def act(work: Work) -> None:
        await work.execute(_PLANT, faults.duplicate, faults.late, faults.lost_answer)

    await works.perform(SYSTEM, None, act)


async def meet(works: Works, wanted: Faults) -> Faults:
    """Which of the `wanted` faults one message meets; they are used up, once among all processes.
    Refuses: UNAVAILABLE."""
    args = (wanted.duplicate, wanted.late, wanted.lost_answer)
    rows = await works.look(_MEET, *args)
    if not rows:
        return Faults()
    return Faults(**{name: rows[0][name] for name in Faults.__struct_fields__})


_PLANT: Final = """
insert into simulation as s (duplicate, late, lost_answer) values ($1, $2, $3)
on conflict (one) do update
set duplicate = excluded.duplicate, late = excluded.late, lost_answer = excluded.lost_answer
"""

_MEET: Final = """
with met as (
    select least(duplicate, $1) as duplicate, least(late, $2) as late,
           least(lost_answer, $3) as lost_answer
    from simulation where least(duplicate, $1) + least(late, $2) + least(lost_answer, $3) > 0
    for update
)
update simulation s
set duplicate = s.duplicate - met.duplicate, late = s.late - met.late,
    lost_answer = s.lost_answer - met.lost_answer
from met
returning met.duplicate, met.late, met.lost_answer
"""


# the token service


async def order(works: Works, ref: UUID, state: str, version: int) -> KnownToken:
    """Do as ordered, unless a later order came before; answers what is held then."""

    async def act(work: Work) -> KnownToken:
        await work.execute(_ORDER, ref, state, version)
        known = await work.struct(KnownToken, _LOOK_UP, ref)
        assert known is not None  # noqa: S101 - just written
        return known

    return await works.perform(SYSTEM, None, act)


async def look_up(works: Works, ref: UUID) -> KnownToken | None:
    """What is held under a ref."""

    async def read(work: Work) -> KnownToken | None:
        return await work.struct(KnownToken, _LOOK_UP, ref)

    return await works.read(SYSTEM, None, read)


_LOOK_UP: Final = "select state, version from simulation_tokens where ref = $1"

_ORDER: Final = """
insert into simulation_tokens as t (ref, state, version) values ($1, $2, $3)
on conflict (ref) do update set state = excluded.state, version = excluded.version
where t.version < excluded.version
"""
