"""What every measurement stands on: a server of its own, and the machine's facts in print."""

import os
import platform
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import asyncpg

from runtime.embedded import Embedded
from wallet import migrations
from wallet.clock import SystemClock
from wallet.database import Database
from wallet.ledger.proof import CHECKS, prove
from wallet.work import Works

MIB = 1024 * 1024


@asynccontextmanager
async def ground() -> AsyncIterator[SimpleNamespace]:
    """An embedded PostgreSQL and Redis in a fresh folder, migrated, with Works on them."""
    with (
        tempfile.TemporaryDirectory(prefix="smartid-bench-") as folder,
        Embedded.open(Path(folder) / "data") as servers,
    ):
        await migrations.upgrade(servers.database_url)
        await _as_after_a_while(servers.database_url)
        database = await Database.connect(
            servers.database_url, largest=20, statement_timeout_s=120, lock_timeout_s=30
        )
        try:
            await print_facts(database)
            yield SimpleNamespace(
                folder=Path(folder),
                servers=servers,
                database=database,
                works=Works(database, SystemClock()),
            )
        finally:
            await database.close()


SEGMENTS: Final = 120
"""About what `max_wal_size` lets stand between two checkpoints, at 16 MiB each."""


async def _as_after_a_while(url: str) -> None:
    """Log segments to write over, as a server has that was through a checkpoint or two. A fresh one
    fills each new segment with zeros while all commits wait, 30 to 100 ms every second or two."""
    raw = await asyncpg.connect(url)
    try:
        for _ in range(SEGMENTS):
            await raw.execute("select pg_logical_emit_message(true, 'benchmarks', '')")
            await raw.execute("select pg_switch_wal()")
        await raw.execute("checkpoint")
    finally:
        await raw.close()


async def print_facts(database: Database) -> None:
    """One line: cores, memory, Python, PostgreSQL, and the settings that make commits durable."""
    rows = await database.rows(
        "select name, setting from pg_settings where name in "
        "('fsync', 'synchronous_commit', 'full_page_writes', 'server_version')"
    )
    settings = {row["name"]: row["setting"] for row in rows}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB
    print(
        f"machine: {os.cpu_count()} cores, {memory} MiB, Python {platform.python_version()}, "
        f"PostgreSQL {settings['server_version']}, fsync={settings['fsync']}, "
        f"synchronous_commit={settings['synchronous_commit']}, "
        f"full_page_writes={settings['full_page_writes']}",
        flush=True,
    )


async def books_right(base: SimpleNamespace) -> None:
    """What was measured counts only when the books are right after it."""
    for finding in await prove(base.works, CHECKS):
        if not finding.right:
            raise SystemExit(f"books wrong after the run: {finding.check}: {finding.difference}")
    print("books right after the run", flush=True)


async def print_size(raw: Any) -> None:
    """One line: how large what was loaded is on disk."""
    size = await raw.fetchval("select pg_size_pretty(pg_database_size(current_database()))")
    print(f"on disk: {size}", flush=True)
