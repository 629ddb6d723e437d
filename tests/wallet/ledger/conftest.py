"""One database for the text tables of a file: each uses accounts and ids of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import asyncpg
import pytest

from runtime.embedded import Embedded
from tests.conftest import url_of
from tests.wallet.ledger.table import BANK, Table
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import new_id
from wallet.limits.expiring import release_due
from wallet.work import Works


@pytest.fixture(scope="module")
def file_database(servers: Embedded, template_database: str) -> Iterator[str]:
    name = f"tables_{new_id().hex}"

    async def admin(sql: str) -> None:
        connection = await asyncpg.connect(servers.database_url)
        await connection.execute(sql)
        await connection.close()

    asyncio.run(admin(f'create database "{name}" template "{template_database}"'))
    yield url_of(servers, name)
    asyncio.run(admin(f'drop database "{name}" with (force)'))


@pytest.fixture
async def table(file_database: str, clock: TurnedClock) -> AsyncIterator[Table]:
    """Leaves no hold open, for the tables after it."""
    database = await Database.connect(file_database, largest=2)
    works = Works(database, clock)
    try:
        yield Table(works, clock)
        clock.advance(timedelta(days=3))
        while await release_due(works, BANK):
            pass
    finally:
        await database.close()
