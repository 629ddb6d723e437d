"""The disk fills up under PostgreSQL: clean 503s, nothing half done, and on it goes when there is
room again."""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from runtime.embedded_postgres import Postgres
from tests.crash.open_street import bustling, judged, street_at
from tests.crash.street import Street
from tests.crash.volume import Volume, volume, why_not
from wallet import migrations, work
from wallet.database import CONNECTION_LOST

SEED = os.environ.get("CRASH_SEED") or str(time.time_ns())
MEGABYTES = 260
LACKING = why_not()
pytestmark = pytest.mark.skipif(LACKING is not None, reason=f"no small disk: {LACKING}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Volume]:
    with volume(tmp_path, MEGABYTES) as disk:
        yield disk


@pytest.fixture
def server(disk: Volume) -> Iterator[Postgres]:
    server = Postgres(disk.at)
    try:
        server.start()
        asyncio.run(migrations.upgrade(server.url))
        yield server
    finally:
        server.stop()


class Filler:
    """A file of somebody else's that takes all the room there is."""

    def __init__(self, disk: Volume) -> None:
        self._disk = disk
        self._file = disk.at / "somebody-elses"

    def fill(self) -> None:
        with self._file.open("ab") as file:
            while (left := self._disk.free_bytes()) > 0:
                try:
                    os.posix_fallocate(file.fileno(), file.tell(), left)
                except OSError:
                    left = 4096
                    with contextlib.suppress(OSError):
                        file.write(bytes(left))
                        file.flush()
                    break
                file.seek(0, os.SEEK_END)

    def free(self) -> None:
        self._file.unlink(missing_ok=True)


async def test_a_full_disk_is_a_clean_503_and_room_is_enough_to_go_on(
    server: Postgres, disk: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D10."""
    monkeypatch.setattr(work, "LOOKUP_PATIENCE_S", 1.0)
    filler = Filler(disk)
    async with street_at(server.url, random.Random(SEED)) as street:
        await street.people(street.works, 4, "ACLEDA", "WING")
        async with bustling(street):
            await asyncio.sleep(0.3)
            filler.fill()
            await asyncio.sleep(1.0)
            refused = street.answers.total()
            await _until_the_log_wants_room(server)
        full = street.answers.copy()
        assert street.unclean == [], f"seed {SEED}"
        assert refused, "no table was refused room"
        assert {status for status, _ in full} == {503}, full
        filler.free()
        if not server.alive:
            server.start()  # as the supervisor does
        await _resumes(street)
        assert await judged(street, street.works) == [], f"seed {SEED}"
    done = sum(act.done for act in street.acts)
    print(f"{done} done of {len(street.acts)}; while full: {dict(full)}")


async def _until_the_log_wants_room(server: Postgres) -> None:
    """Tables are refused room first; the log has its file, and at the next one the server dies."""
    connection = await asyncpg.connect(server.url)
    with pytest.raises((*CONNECTION_LOST, asyncpg.PostgresError)):  # noqa: PT012 - whichever it is
        for _ in range(50):
            await connection.execute("select pg_logical_emit_message(false, 'x', 'x')")
            await connection.execute("select pg_switch_wal()")
    connection.terminate()
    await asyncio.sleep(2.0)


async def _resumes(street: Street) -> None:
    """Everybody pays again."""
    before = sum(act.done for act in street.acts)
    for payer in street.payers:
        await street.pay(payer)
        await street.keyed(payer)
    assert sum(act.done for act in street.acts) == before + 2 * len(street.payers)
