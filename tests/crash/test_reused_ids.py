"""PostgreSQL dies during a COMMIT and gives the transaction's number out again.

A number nothing of which was on the disk is forgotten by recovery: looked up, it is first "in the
future", and later another transaction's. Neither may become an answer.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from runtime.embedded_postgres import Postgres
from wallet import migrations
from wallet.clock import SystemClock
from wallet.database import CONNECTION_LOST, Connection, Database, NotCommittedError
from wallet.identifiers import BankId, HolderId, new_id
from wallet.outcomes import Reason, Refused
from wallet.registry import banks
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of its own: a killed connection's process takes everybody else's down too."""
    server = Postgres(tmp_path_factory.mktemp("reused"))
    try:
        server.start()
        asyncio.run(migrations.upgrade(server.url))
        yield server
    finally:
        server.stop()


@pytest.fixture
async def works(postgres: Postgres) -> AsyncIterator[Works]:
    database = await Database.connect(postgres.url, largest=4)
    yield Works(database, SystemClock())
    await database.close()


class DiesAtCommit:
    """The first COMMIT meets `kill -9` of the process that should have heard it; `after` runs
    when the server is back, before the caller looks."""

    def __init__(self, postgres: Postgres, patch: pytest.MonkeyPatch) -> None:
        self.others = 0
        self._url = postgres.url
        self._left = 1
        self._commit = Connection.commit
        patch.setattr(Connection, "commit", self._die_once())

    def _die_once(self) -> Any:
        async def commit(connection: Connection) -> None:
            if self._left:
                self._left -= 1
                os.kill(connection.raw.get_server_pid(), signal.SIGKILL)
                await self._back()
                raise ConnectionResetError("cut")
            await self._commit(connection)

        return commit

    async def _back(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self._url)
                break
            except CONNECTION_LOST:
                await asyncio.sleep(0.05)
        for _ in range(self.others):
            async with connection.transaction():
                await connection.execute("select pg_current_xact_id()")
        await connection.close()


async def _pay(works: Works, key: str) -> int:
    """One act that leaves an audit row; answers how many there are in the end."""

    async def act(work: Work) -> None:
        work.note("paid", key, holder_id=HolderId(new_id()))

    await works.perform(SYSTEM, BANK, act)
    return await _paid(works, key)


async def _paid(works: Works, key: str) -> int:
    async def count(work: Work) -> int:
        return int(await work.value("select count(*) from audit where subject = $1", key))

    return await works.read(SYSTEM, None, count)


async def test_a_forgotten_number_is_no_commit_and_the_act_is_done_again(
    works: Works, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    await works.perform(SYSTEM, None, banks.establish)
    DiesAtCommit(postgres, monkeypatch)
    assert await _pay(works, "forgotten") == 1


async def test_a_number_given_out_again_is_not_taken_for_ones_own(
    works: Works, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    await works.perform(SYSTEM, None, banks.establish)
    DiesAtCommit(postgres, monkeypatch).others = 8
    with pytest.raises(Refused) as refused:
        await _pay(works, "again")
    assert refused.value.reason is Reason.OUTCOME_UNKNOWN
    assert await _paid(works, "again") == 0


async def test_a_commit_that_rolls_back_instead_is_never_acknowledged(works: Works) -> None:
    """The server answers COMMIT by ROLLBACK, without an error, once a statement had failed."""

    async def swallows(work: Work) -> str:
        work.note("paid", "swallowed")
        await work.flush()
        work._notes.clear()
        with contextlib.suppress(asyncpg.DivisionByZeroError):
            await work.value("select 1 / 0")
        return "paid"

    with pytest.raises(NotCommittedError):
        await works.perform(SYSTEM, BANK, swallows)
    assert await _paid(works, "swallowed") == 0
