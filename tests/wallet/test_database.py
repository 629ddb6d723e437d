"""A server that could lose acknowledged money is refused; what it refuses itself is told apart."""

import asyncio

import asyncpg
import pytest

from runtime.embedded import Embedded
from wallet.clock import SystemClock
from wallet.database import REQUIRED_SETTINGS, Database, UnsafeServerError, decide_settings
from wallet.identifiers import BankId
from wallet.outcomes import Reason, Refused
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")


SOUND = {name: sorted(values)[0] for name, values in REQUIRED_SETTINGS.items()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "off"),
        ("synchronous_commit", "local"),
        ("synchronous_commit", "remote_write"),
        ("data_sync_retry", "on"),
        ("data_checksums", "off"),
    ],
)
def test_d7_each_setting_that_could_lose_commits_is_refused_by_name(name: str, value: str) -> None:
    decide_settings(SOUND)
    with pytest.raises(UnsafeServerError, match=name):
        decide_settings({**SOUND, name: value})


async def test_d7_connecting_to_a_server_that_could_lose_commits_is_refused(
    servers: Embedded, database_url: str
) -> None:
    name = database_url.rpartition("/")[2]
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f'alter database "{name}" set synchronous_commit = off')
    await admin.close()
    with pytest.raises(UnsafeServerError, match="synchronous_commit=off"):
        await Database.connect(database_url)


async def test_the_application_may_not_change_tables(database: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.run("drop table transfers")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.run("alter table accounts disable row level security")


async def test_d9_a_serialization_failure_is_run_again_whole(works: Works) -> None:
    tries = 0

    async def act(work: Work) -> int:
        nonlocal tries
        tries += 1
        work.note("tried", str(tries))
        if tries < 3:
            await work.execute("do $$ begin raise exception using errcode = '40001'; end $$")
        return tries

    assert await works.perform(SYSTEM, BANK, act) == 3

    async def count(work: Work) -> list[str]:
        return [row["subject"] for row in await work.rows("select subject from audit")]

    assert await works.read(SYSTEM, None, count) == ["3"]


async def test_a_unique_violation_is_not_run_again(works: Works) -> None:
    tries = 0

    async def act(work: Work) -> None:
        nonlocal tries
        tries += 1
        await work.execute("do $$ begin raise exception using errcode = '23505'; end $$")

    with pytest.raises(asyncpg.UniqueViolationError):
        await works.perform(SYSTEM, BANK, act)
    assert tries == 1


async def test_a_row_that_stays_locked_is_in_flight_not_a_hang(database_url: str) -> None:
    """D14."""
    quick = await Database.connect(database_url, lock_timeout_s=0.2, largest=3)
    works = Works(quick, SystemClock())
    may_end, held = asyncio.Event(), asyncio.Event()

    async def hold(work: Work) -> None:
        await work.execute("lock table accounts in exclusive mode")
        held.set()
        await may_end.wait()

    async def want(work: Work) -> None:
        await work.execute("lock table accounts in exclusive mode")

    holding = asyncio.create_task(works.perform(SYSTEM, BANK, hold))
    await held.wait()
    try:
        with pytest.raises(Refused) as refused:
            await works.perform(SYSTEM, BANK, want)
        assert refused.value.reason is Reason.IN_FLIGHT
    finally:
        may_end.set()
        await holding
        await quick.close()
