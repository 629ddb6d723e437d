"""The worker does due jobs, retries failures, renews long ones and releases holds."""

import asyncio
from datetime import timedelta

from runtime.worker import JobRunner
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import BankId
from wallet.jobs import Again, Job
from wallet.work import SYSTEM, Work, Works


async def _want(works: Works, name: str) -> None:
    async def act(work: Work) -> None:
        work.later(name, {})

    await works.perform(SYSTEM, BankId("WING"), act)


async def test_jobs_are_done_failed_ones_later_postponed_ones_without_blame(
    works: Works, database: Database, clock: TurnedClock
) -> None:
    seen: list[str] = []

    async def good(job: Job) -> None:
        seen.append(f"good {job.attempts}")

    async def bad(job: Job) -> None:
        seen.append(f"bad {job.attempts}")
        if job.attempts < 2:
            raise ZeroDivisionError

    async def slow(job: Job) -> None:
        seen.append(f"again {job.attempts}")
        if seen.count("again 1") < 2:
            raise Again(5)

    runner = JobRunner(database, clock, {"good": good, "bad": bad, "again": slow})
    for name in ("good", "bad", "again"):
        await _want(works, name)
    assert await runner.step() == 3
    await runner.settle()
    assert await runner.step() == 0
    clock.advance(timedelta(seconds=10))
    assert await runner.step() == 2
    await runner.settle()
    assert sorted(seen) == ["again 1", "again 1", "bad 1", "bad 2", "good 1"]
    assert await database.rows("select 1 from jobs") == []


async def test_a_long_job_keeps_its_lease(
    works: Works, database: Database, clock: TurnedClock
) -> None:
    may_end = asyncio.Event()
    runs = 0

    async def long(job: Job) -> None:
        nonlocal runs
        runs += 1
        await may_end.wait()

    runner, other = (JobRunner(database, clock, {"long": long}) for _ in range(2))
    await _want(works, "long")
    await runner.step()
    for _ in range(3):
        clock.advance(timedelta(seconds=40))
        await runner.renew_running()
        assert await other.step() == 0
    may_end.set()
    await runner.settle()
    assert runs == 1
