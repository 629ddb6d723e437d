"""Nothing that was secret during a day is left anywhere after it: C1.

The day of `tests.canary.day` goes through the doors at DEBUG, faults of ours included; then every
place where something is kept or told is searched for every secret the contract carried. Each place
is shown to be searched: a mark planted in it at the end is found there. There are no traces: the
wallet makes none.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest
from litestar import Litestar
from redis.asyncio import Redis

import tests.desk
from api.app import create_app
from api.resources import Policy, Resources
from runtime.embedded import Embedded
from tests.api.conftest import HOST
from tests.canary.day import PASSPHRASE, Day
from tests.canary.ear import TOPPED_UP_KIND, Ear, learn_base32
from tests.canary.places import Logs, PostgresLog, RedisSeen, dump_of, rows_of
from tests.canary.spelling import CHECK_VALUE, Place, Secrets
from tests.desk import SECRET, Desk
from wallet.clock import TurnedClock

CARRIED = {
    "PIN", "authenticator secret", "callback secret", "card number", CHECK_VALUE, "claim link",
    "claim reference", "csrf token", "machine key", "master key", "pairing code", "pairing secret",
    "passkey ticket", "passphrase", "push address", "recovery code", "sealed code", "sent code",
    "session token", "staff session", "telephone number", "time code", TOPPED_UP_KIND,
}  # fmt: skip
"""What the day must have carried, or the search proves nothing."""


OPEN = {"answers", "database", "pg_dump", "PostgreSQL's log"}
"""Where a number that was topped up stands in clear: the room of top-ups compares by it, and the
text the holder signed names it. Open in docs/threat-model.md, and allowed nowhere else; the holder
is answered with it."""

PAGES = ("/metrics", "/openapi.json", "/docs")
"""Open to whoever asks, or to whoever collects."""

_STATUS = re.compile(rb'status="[0-9]{3}"')
"""In metrics, where three digits are no check value."""

MARK = "a-mark-that-was-planted-on-purpose"


class Watch:
    """Everything that is listened to during the day, and everything that is searched after it."""

    def __init__(self, servers: Embedded, database_url: str) -> None:
        self.secrets = Secrets()
        self.ear = Ear(self.secrets)
        self.logs = Logs()
        self.postgres = PostgresLog(servers.data)
        self.redis = RedisSeen()
        self._morning: dict[str, bytes] = {}
        self._redis_url = servers.redis_url
        self._database_url = database_url

    async def rise(self, passer_by: httpx.AsyncClient) -> None:
        """What the open pages hold before anything secret is said."""
        self._morning = {path: (await passer_by.get(path)).content for path in PAGES}

    async def places(self, passer_by: httpx.AsyncClient) -> list[Place]:
        told = [
            Place(path, _STATUS.sub(b"", (await passer_by.get(path)).content), self._morning[path])
            for path in PAGES
        ]
        kept = [await rows_of(self._database_url), await dump_of(self._database_url)]
        redis = await self.redis.places(self._redis_url)
        return [
            *self.logs.places(),
            self.postgres.place(),
            *kept,
            *redis,
            *self.ear.places(),
            *told,
        ]

    async def left(self, passer_by: httpx.AsyncClient) -> dict[str, set[str]]:
        """The kinds of secrets found, by place."""
        found = {place.name: self.secrets.found_in(place) for place in await self.places(passer_by)}
        return {name: kinds for name, kinds in found.items() if kinds}

    async def plant(self, client: httpx.AsyncClient) -> None:
        """A mark in every place that is ours to write to."""
        self.secrets.learn("mark", MARK)
        logging.getLogger("smartid.api").debug("found %s", MARK)
        admin = await asyncpg.connect(self._database_url)
        await admin.execute("create table planted as select $1::text as mark", MARK)
        await admin.close()
        redis = Redis.from_url(self._redis_url)
        await redis.set("planted", MARK)
        await redis.aclose()
        await client.post("/v1/sim/authorise", json={MARK: 1})


async def test_nothing_secret_is_left_anywhere_after_a_day(
    resources: Resources,
    dialled: Callable[[Litestar], httpx.AsyncClient],
    desk: Desk,
    clock: TurnedClock,
    servers: Embedded,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tests.desk, "PASSPHRASE", PASSPHRASE)
    watch = Watch(servers, database_url)
    watch.secrets.learn("master key", (tmp_path / "master.key").read_bytes())
    learn_base32(watch.secrets, SECRET)
    app = create_app(replace(resources, policy=Policy(host=HOST, simulation=True)))
    with watch.logs.kept():
        async with watch.redis.watching(servers.redis_url):
            client = watch.ear.on(dialled(app))
            day = Day(client, resources, desk, clock, watch.secrets, database_url)
            await watch.rise(dialled(app))
            await day.furnish()
            await day.spend()
            assert watch.secrets.kinds == CARRIED
            assert watch.ear.statuses.count(500) >= 8, "faults of ours, met with secrets at hand"
            left = await watch.left(dialled(app))
            assert left == {place: {TOPPED_UP_KIND} for place in OPEN}
            printed = Place("printed", "".join(capfd.readouterr()).encode())
            assert not watch.secrets.found_in(printed)
            await watch.plant(client)
            searched = await watch.left(dialled(app))
    assert {place for place, kinds in searched.items() if "mark" in kinds} == {
        "log", "log before redaction", "PostgreSQL's log", "database", "pg_dump",
        "Redis commands", "Redis SLOWLOG", "Redis keys", "answers that say no",
    }  # fmt: skip
