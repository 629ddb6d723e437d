"""PostgreSQL: the pool, rows into Structs, and the refusal of a server that could lose money.

Promise: the only importer of asyncpg. Every connection runs as the role `smartid_app`, and within a
transaction as that of its caller, with lock and statement time-outs.
Who calls: work, outbox, jobs, runtime (connect, migrate).
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg
import msgspec
from asyncpg import Record as Record

T = TypeVar("T")
UniqueViolation = asyncpg.UniqueViolationError
CheckViolation = asyncpg.CheckViolationError
LockTimeout = asyncpg.LockNotAvailableError

SerializationFailure = asyncpg.SerializationError
"""Also raised by rooms whose write met another version than the one they decided on."""

SERIALIZATION_FAILURES: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""SQLSTATE 40001 and 40P01: the only database errors a whole transaction is run again for."""

CONNECTION_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # asyncpg's word for a connection used between the server's farewell and its end.
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    ConnectionError,
    OSError,
    asyncio.TimeoutError,
)

SERVER_EXHAUSTED: Final = (asyncpg.InsufficientResourcesError, asyncpg.PostgresIOError)
"""No room on the disk, no memory, a disk that fails: the transaction is rolled back, and asking
again at once would only press harder."""

REQUIRED_SETTINGS: Final = {
    "fsync": {"on"},
    "full_page_writes": {"on"},
    "synchronous_commit": {"on", "remote_apply"},
    "data_sync_retry": {"off"},
    "data_checksums": {"on"},
}
OLDEST_SERVER: Final = 150000


class UnsafeServerError(Exception):
    """The server's settings could lose acknowledged money; starting on it is refused."""


class NotCommittedError(Exception):
    """COMMIT was answered with another word: a defect of the act, and nothing was kept."""


class Wall(NamedTuple):
    """What a transaction may see: set with its first statement, gone with its end."""

    bank: str
    """'*': of all banks."""
    role: str
    """The database role of this kind of caller, which has the least grants its acts need."""
    caller: str
    agency: str
    """Of an officer; of others ''."""


class Connection:
    """One pooled connection, inside a transaction its Work began."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    async def begin(self, behind: "Wall") -> tuple[datetime, int]:
        """Open a transaction behind a wall; answers database time and the transaction's id."""
        await self.raw.execute("begin")
        row = await self.raw.fetchrow(_BEGIN, *behind)
        return row[0], row[1]

    async def begin_read(self, behind: "Wall") -> datetime:
        await self.raw.execute("begin read only")
        row = await self.raw.fetchrow(_BEGIN_READ, *behind)
        moment: datetime = row[0]
        return moment

    async def commit(self) -> None:
        """Refuses: NotCommittedError when the server rolled back instead, as it does, without an
        error, after a failed statement somebody swallowed."""
        tag = await self.raw.execute("commit")
        if tag != "COMMIT":
            raise NotCommittedError(tag)

    async def rollback(self) -> None:
        await self.raw.execute("rollback")


class Database:
    """A pool of connections to one PostgreSQL server."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._timeline = ""
        """The server's timeline when we came: a promoted standby has another."""

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        smallest: int = 1,
        largest: int = 10,
        lock_timeout_s: float = 2.0,
        statement_timeout_s: float = 5.0,
        role: str | None = "smartid_app",
    ) -> "Database":
        """Open the pool. Refuses: UnsafeServerError when the server may lose commits."""
        settings = {
            "application_name": "smartid",
            "lock_timeout": str(int(lock_timeout_s * 1000)),
            "statement_timeout": str(int(statement_timeout_s * 1000)),
            "idle_in_transaction_session_timeout": "10000",
            "jit": "off",
            "timezone": "UTC",
        }
        if role is not None:
            settings["role"] = role
        pool = await asyncpg.create_pool(
            url,
            min_size=smallest,
            max_size=largest,
            init=_prepare_connection,
            reset=_nothing_to_reset,
            server_settings=settings,
            command_timeout=max(statement_timeout_s * 2, 10.0),
            timeout=10.0,
        )
        database = cls(pool)
        try:
            await database.refuse_unsafe_server()
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()

    async def acquire(self) -> Connection:
        return Connection(await self._pool.acquire(timeout=5.0))

    async def release(self, connection: Connection) -> None:
        """Give a connection back; a transaction still open on it is rolled back."""
        if not connection.raw.is_closed() and connection.raw.is_in_transaction():
            await connection.rollback()
        await self._pool.release(connection.raw, timeout=5.0)

    async def rows(self, sql: str, *arguments: Any) -> list[Record]:
        """One statement outside any Work: for following the log, leasing jobs and health."""
        found: list[Record] = await self._pool.fetch(sql, *arguments)
        return found

    async def run(self, sql: str, *arguments: Any) -> str:
        """One statement outside any Work, answering its command tag (`UPDATE 1`)."""
        tag: str = await self._pool.execute(sql, *arguments)
        return tag

    async def transaction_status(self, xid: int, begun_at: datetime) -> str | None:
        """`committed`, `aborted`, `in progress`, `recovered`, or None when too old to know.

        `recovered`: the server died since `begun_at` (its own time), or another took its place. An
        id no log record of which was on the disk by then is given out again, so that the
        transaction which committed under it may be another's.
        """
        try:
            status: str | None = await self._pool.fetchval(
                _STATUS, str(xid), begun_at, self._timeline
            )
        except asyncpg.InvalidParameterValueError:
            # "In the future": the server died, and does not remember having given the id out.
            return "aborted"
        return status

    async def refuse_unsafe_server(self) -> None:
        version = int(await self._pool.fetchval("select current_setting('server_version_num')"))
        if version < OLDEST_SERVER:
            raise UnsafeServerError(f"PostgreSQL 15 or newer is required; this is {version}")
        rows = await self._pool.fetch(_SETTINGS, list(REQUIRED_SETTINGS))
        self._timeline = await self._pool.fetchval(_TIMELINE)
        decide_settings({row["name"]: row["setting"] for row in rows})


def decide_settings(settings: Mapping[str, str]) -> None:
    """Raises UnsafeServerError for the first setting that could lose an acknowledged commit."""
    for name, allowed in REQUIRED_SETTINGS.items():
        if settings.get(name) not in allowed:
            raise UnsafeServerError(
                f"PostgreSQL runs with {name}={settings.get(name)}, which can lose acknowledged "
                f"payments; set it to {' or '.join(sorted(allowed))}"
            )


def decode(into: type[T], record: Record) -> T:
    """A row as a Struct: column names are field names; extra columns are ignored."""
    return msgspec.convert(dict(record), into, strict=False)


def decode_all(into: type[T], records: Sequence[Record]) -> list[T]:
    return msgspec.convert([dict(record) for record in records], list[into], strict=False)  # type: ignore[valid-type]


async def _prepare_connection(raw: Any) -> None:
    await raw.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
    )


async def _nothing_to_reset(raw: Any) -> None:
    """Instead of asyncpg's RESET ALL on every release: our settings are per transaction."""


_BEHIND = """
set_config('smartid.bank', $1, true), set_config('role', $2, true),
set_config('smartid.caller', $3, true), set_config('smartid.agency', $4, true)
"""

_BEGIN = f"select clock_timestamp(), pg_current_xact_id()::text::bigint, {_BEHIND}"

_BEGIN_READ = f"select clock_timestamp(), {_BEHIND}"

# The statistics begin anew when a server recovers from a crash, and only then by themselves.
_STATUS = """
select case
    when pg_is_in_recovery() then 'in progress'
    when status = 'committed'
         and ((select stats_reset >= $2 from pg_stat_bgwriter)
              or left(pg_walfile_name(pg_current_wal_lsn()), 8) <> $3) then 'recovered'
    else status end
from pg_xact_status($1::text::xid8) as status
"""

_TIMELINE = """
select case when pg_is_in_recovery() then ''
            else left(pg_walfile_name(pg_current_wal_lsn()), 8) end
"""

_SETTINGS = "select name, setting from pg_settings where name = any($1)"
