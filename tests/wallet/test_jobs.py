"""A job exists when its transaction committed, is done at least once, and never lost."""

from datetime import timedelta

from wallet import jobs
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import BankId
from wallet.work import SYSTEM, Work, Works


async def _want(
    works: Works, name: str = "n", after_s: float = 0, dedupe: str | None = None
) -> None:
    async def act(work: Work) -> None:
        work.later(name, {"x": 1}, at=work.now + timedelta(seconds=after_s), dedupe=dedupe)

    await works.perform(SYSTEM, BankId("WING"), act)


async def test_a_job_is_leased_once_and_gone_when_finished(
    works: Works, database: Database, clock: TurnedClock
) -> None:
    await _want(works)
    leased = await jobs.lease(database, ["n"], 5, clock.now())
    assert [job.payload for job in leased] == [{"x": 1}]
    assert await jobs.lease(database, ["n"], 5, clock.now()) == []
    await jobs.finish(database, leased[0])
    assert await database.rows("select 1 from jobs") == []


async def test_a_dead_workers_lease_runs_out_and_its_late_word_does_not_count(
    works: Works, database: Database, clock: TurnedClock
) -> None:
    await _want(works)
    (first,) = await jobs.lease(database, ["n"], 5, clock.now())
    clock.advance(timedelta(seconds=jobs.LEASE_S))
    (second,) = await jobs.lease(database, ["n"], 5, clock.now())
    await jobs.finish(database, first)
    assert len(await database.rows("select 1 from jobs")) == 1
    await jobs.finish(database, second)
    assert await database.rows("select 1 from jobs") == []


async def test_a_failing_job_pauses_longer_each_time_and_is_set_aside(
    works: Works, database: Database, clock: TurnedClock
) -> None:
    """D12, E3: what cannot be done leaves the road and stands where it is looked at."""
    await _want(works)
    dead = False
    for attempt in range(1, jobs.MOST_ATTEMPTS + 1):
        (job,) = await jobs.lease(database, ["n"], 5, clock.now())
        assert job.attempts == attempt
        dead = await jobs.fail(database, job, "broken", clock.now())
        clock.advance(timedelta(seconds=jobs.pause_after(attempt)))
    assert dead
    assert await jobs.lease(database, ["n"], 5, clock.now() + timedelta(days=1)) == []
    assert jobs.pause_after(1) == 0.5
    assert jobs.pause_after(1000) == jobs.LONGEST_PAUSE_S


async def test_a_job_waits_for_its_moment_and_postponing_does_not_blame_it(
    works: Works, database: Database, clock: TurnedClock
) -> None:
    await _want(works, after_s=10)
    assert await jobs.lease(database, ["n"], 5, clock.now()) == []
    clock.advance(timedelta(seconds=10))
    (job,) = await jobs.lease(database, ["n"], 5, clock.now())
    await jobs.postpone(database, job, clock.now() + timedelta(seconds=5))
    clock.advance(timedelta(seconds=5))
    (again,) = await jobs.lease(database, ["n"], 5, clock.now())
    assert again.attempts == 1


async def test_one_job_per_dedupe_key(works: Works, database: Database) -> None:
    for _ in range(3):
        await _want(works, dedupe="k")
    assert len(await database.rows("select 1 from jobs")) == 1
