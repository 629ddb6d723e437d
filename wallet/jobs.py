"""Durable background work: wanted in a transaction, done after it, at least once.

Promise: a job exists exactly when the transaction that wanted it committed. A worker leases it;
a worker that dies loses the lease and another takes over. A failing job is tried again with
growing pauses and set aside as dead after `MOST_ATTEMPTS`, where it stands until looked at.
Handlers must therefore be safe to run twice.

    waiting -> leased -> done (row gone)
                      -> waiting (failed or lease lost; pause doubles, at most 5 minutes)
                      -> dead    (failed MOST_ATTEMPTS times)

Tables owned: jobs. Who calls: work (wanting), runtime's worker (leasing).
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.database import Database, decode
from wallet.identifiers import new_id
from wallet.writes import Write, as_json

Rows = Callable[..., Awaitable[list[Any]]]

LEASE_S: Final = 30.0
MOST_ATTEMPTS: Final = 25
LONGEST_PAUSE_S: Final = 300.0


class Wanted(Struct, frozen=True, kw_only=True):
    name: str
    payload: dict[str, Any]
    run_at: datetime
    dedupe: str | None


class Job(Struct, frozen=True, kw_only=True):
    """A leased job. `attempts` counts this one among the failed; `lease` fences the others."""

    id: UUID
    name: str
    payload: dict[str, Any]
    attempts: int
    lease: int


class Again(Exception):
    """Raised by a handler that wants to be called once more, after `pause_s`, without blame."""

    def __init__(self, pause_s: float) -> None:
        super().__init__(pause_s)
        self.pause_s = pause_s


def written(wanted: Sequence[Wanted], now: datetime) -> Write:
    """A Work's jobs, to be added; a dedupe key already waiting keeps the first."""
    columns = (
        [new_id() for _ in wanted],
        [job.name for job in wanted],
        [as_json(job.payload) for job in wanted],
        [job.run_at for job in wanted],
        [job.dedupe for job in wanted],
    )
    return Write(table="jobs", sql=_INSERT, arguments=(now, *columns))


async def lease(database: Database, names: Sequence[str], most: int, now: datetime) -> list[Job]:
    """Take up to `most` due jobs of these names for `LEASE_S` seconds."""
    until = now + timedelta(seconds=LEASE_S)
    return [decode(Job, row) for row in await database.rows(_LEASE, list(names), most, now, until)]


async def renew(database: Database, job: Job, now: datetime) -> None:
    """Keep a long job's lease: called while it is still being done."""
    await database.run(_RENEW, job.id, job.lease, now + timedelta(seconds=LEASE_S))


async def finish(database: Database, job: Job) -> None:
    await database.run(_FINISH, job.id, job.lease)


async def postpone(database: Database, job: Job, run_at: datetime) -> None:
    """Put a job back for `run_at` without counting this attempt."""
    await database.run(_POSTPONE, job.id, job.lease, run_at)


async def fail(database: Database, job: Job, error: str, now: datetime) -> bool:
    """Put a failed job back with a pause, or set it aside; True when it is dead."""
    dead = job.attempts >= MOST_ATTEMPTS
    again = now + timedelta(seconds=pause_after(job.attempts))
    await database.run(_FAIL, job.id, job.lease, again, error[:500], dead)
    return dead


def pause_after(attempts: int) -> float:
    """Seconds to wait after the given number of failed attempts."""
    seconds: float = min(LONGEST_PAUSE_S, 0.5 * 2.0 ** min(attempts - 1, 20))
    return seconds


_INSERT = """
insert into jobs (at, id, name, payload, run_at, dedupe)
select $1, j.id, j.name, j.payload::jsonb, j.run_at, j.dedupe
from unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
     as j (id, name, payload, run_at, dedupe)
on conflict (dedupe) do nothing
"""

_LEASE = """
update jobs set leased_until = $4, lease = lease + 1
where id in (
    select id from jobs
    where not dead and run_at <= $3 and name = any($1)
      and (leased_until is null or leased_until <= $3)
    order by run_at limit $2
    for update skip locked)
returning id, name, payload, failures + 1 as attempts, lease
"""

# The lease number fences a worker that lost its lease: only the latest may change the row.
_RENEW = "update jobs set leased_until = $3 where id = $1 and lease = $2"
_FINISH = "delete from jobs where id = $1 and lease = $2"
_POSTPONE = """
update jobs set leased_until = null, run_at = $3 where id = $1 and lease = $2
"""
_FAIL = """
update jobs set leased_until = null, run_at = $3, last_error = $4, dead = $5,
                failures = failures + 1
where id = $1 and lease = $2
"""
