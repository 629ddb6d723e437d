"""Fixtures: real PostgreSQL and Redis for the session, a fresh database for every test."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
import pytest_socket
from redis.asyncio import Redis

from runtime.embedded import Embedded
from tests.quick_folder import quick_folder
from wallet import migrations
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import new_id
from wallet.migrations.written import SQL_FOLDER
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.vault.keystore import SoftwareKeyStore
from wallet.work import Works

FIRST_MOMENT = datetime(2026, 1, 12, 2, 0, tzinfo=UTC)
"""A Monday, 09:00 in Phnom Penh."""


def pytest_runtest_setup() -> None:
    """Nothing in the suite talks to anything but this machine."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost", "::1"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with (
        quick_folder(tmp_path_factory.mktemp("servers")) as folder,
        Embedded.open(folder) as embedded,
    ):
        yield embedded


@pytest.fixture(scope="session")
def template_database(servers: Embedded) -> str:
    """The name of a migrated database that every test's own is copied from."""
    digest = hashlib.sha256()
    for file in sorted(Path(SQL_FOLDER).glob("*.sql")):
        digest.update(file.read_bytes())
    name = f"template_{digest.hexdigest()[:12]}"

    async def make() -> None:
        admin = await asyncpg.connect(servers.database_url)
        await admin.execute(f'create database "{name}"')
        await admin.close()
        await migrations.upgrade(url_of(servers, name))

    asyncio.run(make())
    return name


@pytest.fixture
async def database_url(servers: Embedded, template_database: str) -> AsyncIterator[str]:
    name = f"test_{new_id().hex}"
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f'create database "{name}" template "{template_database}"')
    try:
        yield url_of(servers, name)
    finally:
        await admin.execute(f'drop database "{name}" with (force)')
        await admin.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, largest=12, statement_timeout_s=30)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock(FIRST_MOMENT)


@pytest.fixture
def works(database: Database, clock: TurnedClock) -> Works:
    return Works(database, clock)


@pytest.fixture
async def teller(works: Works) -> AsyncIterator[Teller]:
    opened = Teller(works)
    yield opened
    await opened.close()


@pytest.fixture
async def redis(servers: Embedded) -> AsyncIterator["Redis"]:
    client = Redis.from_url(servers.redis_url)
    await client.flushdb()
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(SoftwareKeyStore.open_or_create(tmp_path / "master.key"))


def url_of(servers: Embedded, database_name: str) -> str:
    base, _, _ = servers.database_url.rpartition("/")
    return f"{base}/{database_name}"
