"""Redis stopped, frozen, full, slow, flushed: codes wait, what a phone signs alone goes on.

Row E5 of the security promises: what needs a one-time password is answered 503 within 0.6 s and not
done; device-signed payments below the threshold are done; five seconds after Redis is back so are
codes, with nobody's help.
"""

import asyncio
import contextlib
import signal
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from redis.asyncio import Redis

from api.resources import Policy, Resources
from simulators.atm import AtmHost
from simulators.phone import Phone, PhoneError, enrol
from simulators.phone_keys import canonical_of
from tests import world
from tests.api.mobile.test_enrolment import NUMBER, PIN, at_atm, atm
from tests.wallet.qr_steps import code_of
from tests.wallet.test_throttle import Server
from wallet.access import challenges
from wallet.access.hashing import Hashing
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.teller import Teller
from wallet.throttle import Throttle, connect
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

__all__ = ["atm"]

QUICKLY_S = 0.6
BUSY_S = 1.5
"""What a machine that runs other tests beside may add to one request, though not to most."""


class Wire:
    """A wire to Redis that may become slow: each piece waits before it goes on."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.delay_s = 0.0
        self._links: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        self._server.close()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            theirs = await asyncio.open_connection("127.0.0.1", self._to)
            ways = [self._pass(reader, theirs[1]), self._pass(theirs[0], writer)]
            await asyncio.gather(*ways)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._links.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(piece)
            await writer.drain()
        writer.close()


class Ground:
    """A Redis of this test's own behind a wire, and the ways it breaks and heals."""

    def __init__(self, server: Server, wire: Wire, port: int) -> None:
        self.server = server
        self.wire = wire
        self.url = f"redis://127.0.0.1:{port}/0"

    async def told(self, *command: str) -> None:
        async with Redis.from_url(self.server.url) as client:
            await client.execute_command(*command)

    async def break_by(self, fault: str) -> None:
        match fault:
            case "stopped":
                self.server.stop()
            case "frozen":
                self.server.process.send_signal(signal.SIGSTOP)
            case "full":
                await self.told("CONFIG", "SET", "maxmemory", "1")
            case "slow":
                self.wire.delay_s = 10.0
            case _:
                await self.told("FLUSHALL")

    async def heal_from(self, fault: str) -> None:
        match fault:
            case "stopped":
                self.server.start()
            case "frozen":
                self.server.process.send_signal(signal.SIGCONT)
            case "full":
                await self.told("CONFIG", "SET", "maxmemory", "0")
            case _:
                self.wire.delay_s = 0.0


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    server = Server(tmp_path)
    wire = Wire(server.port)
    yield Ground(server, wire, await wire.open())
    await wire.close()
    with contextlib.suppress(ProcessLookupError):
        server.process.send_signal(signal.SIGCONT)
    server.stop()


@pytest.fixture
async def resources(
    ground: Ground, database: Database, works: Works, teller: Teller, clock: TurnedClock,
    vault: Vault, hashing: Hashing,
) -> AsyncIterator[Resources]:  # fmt: skip
    redis = connect(ground.url)
    yield Resources(
        database=database, redis=redis, works=works, teller=teller, clock=clock, vault=vault,
        throttle=Throttle(redis), policy=Policy(), hashing=hashing,
    )  # fmt: skip
    await redis.aclose()


@pytest.fixture
async def phone(
    client: httpx.AsyncClient, clock: TurnedClock, atm: AtmHost, resources: Resources
) -> Phone:
    holder = await world.holder(
        resources.works, khr=1_000_000, vault=resources.vault, phone=NUMBER, language="en"
    )
    phone = Phone(client, now=clock.now)
    await enrol(phone, PIN, at_atm(atm, holder.smart_id_number))
    clock.advance(timedelta(seconds=31))
    return phone


Told = tuple[int, str, float]


async def told(asking: Awaitable[Any]) -> Told:
    began = time.monotonic()
    try:
        await asking
    except PhoneError as error:
        return error.status, error.code, time.monotonic() - began
    return 200, "done", time.monotonic() - began


async def sent_code(resources: Resources, shown: dict[str, Any]) -> str:
    """The code as its message carries it."""

    async def read(work: Work) -> str:
        row = await work.row(
            "select id, key_sealed, tx_hash from otp_challenges"
            " where intent_id = $1 and state = 'OPEN'", UUID(shown["id"]),
        )  # fmt: skip
        assert row is not None
        place = "otp_challenges", "key_sealed", row["id"]
        key = await resources.vault.unseal(work, row["key_sealed"], *place)
        return challenges.code_over(key.reveal(), row["tx_hash"])

    return await resources.works.read(SYSTEM, None, read)


def signed(phone: Phone, shown: dict[str, Any], code: str) -> Callable[[], Awaitable[Any]]:
    """One request, byte for byte the same each time it is sent."""
    canonical = canonical_of(shown, str(phone.holder_id), str(phone.device_id))
    body = {"signature": phone.key.sign(canonical), "kind": shown["kind"], "otp": code}
    return lambda: phone.post(f"/intents/{shown['id']}/authorise", body)


async def coded_act(phone: Phone, resources: Resources) -> Callable[[], Awaitable[Any]]:
    shown = await phone.prepare("totp.enrol")
    await phone.post(f"/intents/{shown['id']}/code", {})
    return signed(phone, shown, await sent_code(resources, shown))


async def effects(resources: Resources) -> int:
    async def read(work: Work) -> int:
        return int(await work.value("select count(*) from intents where otp_needed"
                                    " and state = 'DONE'"))  # fmt: skip

    return await resources.works.read(SYSTEM, None, read)


@pytest.mark.parametrize("fault", ["stopped", "frozen", "full", "slow", "flushed"])
async def test_e5_codes_are_503_within_600_ms_signed_acts_go_on_and_it_heals_by_itself(
    fault: str, phone: Phone, resources: Resources, ground: Ground, clock: TurnedClock
) -> None:
    """E6 and E7 too: full, slow."""
    act = await coded_act(phone, resources)
    before = await effects(resources)
    await ground.break_by(fault)

    refused = [await told(act())]
    if fault != "flushed":
        other = await phone.prepare("totp.enrol")
        refused.append(await told(phone.post(f"/intents/{other['id']}/code", {})))
        refused.append(await told(phone.sign_in()))
        refused.append(await told(act()))
    for status, code, seconds in refused:
        assert (status, code) == (503, "otp_unavailable")
        assert seconds < QUICKLY_S + BUSY_S, refused
    assert statistics.median(seconds for _, _, seconds in refused) < QUICKLY_S, refused
    for number in range(3):
        paid = await told(phone.do("qr.pay", code=code_of(clock, bill=f"B{number}")))
        assert paid[:2] == (200, "done")
    assert await effects(resources) == before, "nothing is approved by default"

    await ground.heal_from(fault)
    healed = time.monotonic()
    clock.advance(timedelta(minutes=11))
    while (await told(phone.sign_in()))[0] != 200:
        assert time.monotonic() - healed < 5
        await asyncio.sleep(0.1)
    assert (await told((await coded_act(phone, resources))()))[:2] == (200, "done")
    assert time.monotonic() - healed < 5
    assert await effects(resources) == before + 1
