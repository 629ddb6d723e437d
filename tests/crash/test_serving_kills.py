"""`smartid serve` under people who pay and top up without end, one of its processes killed every
second or two: nothing lost, nothing doubled, and it serves again each time.

Beside the tellings of test_kills, which kill at named points, this is where most of the three
hundred fall. `CRASH_SEED=...` repeats what a failure printed.
"""

import asyncio
import contextlib
import hashlib
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from runtime.children import free_port
from runtime.prove import all_checks
from simulators.phone import PhoneError
from simulators.telco import Pace, Telco
from simulators.telco_books import Books
from tests.crash.harness import ROOT, Demo, Kind
from tests.crash.street import SIGNATURES_ALONE, Payer, Street
from tests.world import WorldHolder
from wallet.clock import SystemClock
from wallet.database import CONNECTION_LOST, Database
from wallet.identifiers import DeviceId
from wallet.ledger.proof import prove
from wallet.work import SYSTEM, Work, Works

SEED = os.environ.get("CRASH_SEED") or str(time.time_ns())
KINDS = (Kind.API, Kind.API_PARENT, Kind.WORKER, Kind.POSTGRES, Kind.BACKEND, Kind.REDIS)
KILLS_A_PART = 25
PRICE = 5_000
"""Riel, of each top-up."""

QUIET_S = 60.0


class Serving(Demo):
    """`smartid serve` on a data folder, its processes found as the demo's are."""

    def __init__(self, data: Path, operators: str) -> None:
        super().__init__(data)
        self._operators = operators

    def start(self) -> None:
        # thousands of payments a phone, which sign and bring no codes
        table = self.data.with_name("step_up.toml")
        table.write_text(SIGNATURES_ALONE, "utf-8")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "runtime", "--data", str(self.data),
                    "serve", "--port", str(self.port),
                ],
                cwd=ROOT,
                env={**os.environ, "SMARTID_RATES": "write.person=100000/1000000",
                     "SMARTID_OPERATOR_URL": self._operators,
                     "SMARTID_TOPUP_GRACE_S": "20", "SMARTID_STEP_UP": str(table)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )  # fmt: skip

    def stop(self) -> int:
        """As an operator stops it; its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        servers = msgspec.json.decode((self.data / "servers.json").read_bytes())
        return str(servers["database_url"])

    async def ready(self) -> None:
        """Wait until it serves."""
        async with httpx.AsyncClient() as client:
            ends = time.monotonic() + QUIET_S
            while time.monotonic() < ends:
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.get(f"{self.base_url}/health/ready")
                    if answer.status_code == 200:
                        return
                assert self.status() is None, self.everything_told()[-4000:]
                await asyncio.sleep(0.1)
        raise AssertionError(f"does not serve\n{self.everything_told()[-4000:]}")


@pytest.fixture
def books() -> Iterator[Books]:
    books = Books()
    yield books
    books.close()


@pytest.fixture
async def serving(tmp_path: Path, books: Books) -> AsyncIterator[Serving]:
    async with Telco(books, pace=Pace(open_s=2), port=free_port()) as telco:
        serving = Serving(tmp_path / "data", telco.url)
        try:
            serving.start()
            await serving.ready()
            yield serving
        finally:
            serving.end()


async def _session(furnishing: Works, holder: WorldHolder, device_id: DeviceId) -> str:
    """A real one, as if just signed in."""
    token = secrets.token_urlsafe(32)

    async def act(work: Work) -> None:
        await work.execute(
            _SESSION,
            hashlib.sha256(token.encode()).digest(),
            holder.bank,
            holder.id,
            device_id,
            work.now,
            work.now + timedelta(minutes=30),
        )

    await furnishing.perform(SYSTEM, holder.bank, act)
    return token


_SESSION = """
insert into sessions (token_hash, bank, holder_id, device_id, created_at, last_seen_at, expires_at)
values ($1, $2, $3, $4, $5, $5, $6)
"""


@contextlib.asynccontextmanager
async def street_of(serving: Serving, chance: random.Random) -> AsyncIterator[Street]:
    direct = await Database.connect(serving.database_url, largest=3)
    truth = await Database.connect(serving.database_url, largest=2, role=None)
    works = Works(direct, SystemClock())
    async with httpx.AsyncClient(base_url=serving.base_url, timeout=20.0) as client:
        street = Street(client, works, truth, chance, _session)
        await street.people(works, 4, "ACLEDA", "WING")
        try:
            yield street
        finally:
            await direct.close()
            await truth.close()


async def _busy(street: Street, payer: Payer, topups: dict[str, int], stop: asyncio.Event) -> None:
    while not stop.is_set():
        if street.chance.random() < 0.2:
            await _top_up(street, payer, topups)
        else:
            await street.pay(payer, attempts=40)


async def _top_up(street: Street, payer: Payer, topups: dict[str, int]) -> None:
    """Whatever is answered: once signed, the operator's books and ours must agree on it."""
    ending = street.chance.choice((0, 1, 2, 80, 81, 82))
    number = f"012 {street.chance.randrange(100, 1000)} {street.chance.randrange(10)}{ending:02d}"
    with contextlib.suppress(PhoneError, httpx.TransportError):
        shown = await payer.phone.prepare(
            "topup.buy", phone=number, amount=str(PRICE), currency="KHR", confirm_repeat=True
        )
        topups[shown["id"]] = payer.holder.khr
        for _ in range(5):
            with contextlib.suppress(httpx.TransportError):
                await payer.phone.authorise(shown)
                return
            await asyncio.sleep(0.2)


async def _kill_many(serving: Serving, chance: random.Random, times: int) -> Counter[str]:
    """Each kill some time after it served again, so that there is something to be killed in."""
    killed: Counter[str] = Counter()
    while killed.total() < times:
        await serving.ready()
        await asyncio.sleep(chance.uniform(0.2, 1.5))
        kind = chance.choice(KINDS)
        if serving.kill(kind, chance):
            killed[kind.value] += 1
        assert serving.status() is None, serving.everything_told()[-4000:]
    await serving.ready()
    return killed


async def _lived_through(
    serving: Serving, books: Books, chance: random.Random, kills: int
) -> tuple[Counter[str], Street]:
    async with street_of(serving, chance) as street:
        topups: dict[str, int] = {}
        stop = asyncio.Event()
        people = [asyncio.create_task(_busy(street, p, topups, stop)) for p in street.payers]
        try:
            killed = await _kill_many(serving, chance, kills)
        finally:
            stop.set()
            await asyncio.gather(*people)
        wrong = await _evening(street, books, topups)
        assert wrong == [], f"seed {SEED}\n" + "\n".join(wrong)
        return killed, street


async def _evening(street: Street, books: Books, topups: dict[str, int]) -> list[str]:
    """Wait until the worker has nothing left to do; what is wrong then."""
    ends = time.monotonic() + QUIET_S * 2
    while time.monotonic() < ends:
        with contextlib.suppress(*CONNECTION_LOST):
            left = await street.truth.rows(_LEFT)
            if not left[0]["open"] and not left[0]["untold"]:
                break
        await asyncio.sleep(0.5)
    wrong = [
        f"{finding.check}: {finding.difference}"
        for finding in await prove(street.works, all_checks())
        if not finding.right
    ]
    left = await street.truth.rows(_LEFT)
    wrong += [f"left over: {dict(row)}" for row in left if any(row.values())]
    for row in await street.truth.rows("select id::text as id, state from topups"):
        delivered = len(books.deliveries(row["id"]))
        if delivered != {"SUCCEEDED": 1, "RECOVERY": 1, "FAILED": 0}.get(row["state"]):
            wrong.append(f"top-up {row['id']} {row['state']}: delivered {delivered}")
        if row["state"] == "SUCCEEDED":
            street.otherwise[topups[row["id"]]] -= PRICE
    return wrong + await street.faults()


_LEFT = """
select (select count(*) from topups where state in ('HELD', 'SENT', 'UNKNOWN')) as open,
       (select count(*) from events e where not exists
            (select 1 from inbox i where i.event_seq = e.seq)) as untold,
       (select count(*) - count(distinct event_seq) from inbox) as doubled,
       (select count(*) from jobs where dead) as dead
"""


@pytest.mark.crash
@pytest.mark.long
@pytest.mark.parametrize("part", range(8))
async def test_two_hundred_kills_under_load(serving: Serving, books: Books, part: int) -> None:
    """D5."""
    killed, street = await _lived_through(
        serving, books, random.Random(f"{SEED} {part}"), KILLS_A_PART
    )
    done = sum(act.done for act in street.acts)
    assert done > 5 * KILLS_A_PART
    print(f"{killed.total()} kills {dict(killed)}: {done} acknowledged, lost 0, doubled 0")
    assert serving.stop() == 0
