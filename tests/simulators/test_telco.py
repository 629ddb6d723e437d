"""The aggregator's simulator: its books tell the truth, whatever it says on the wire."""

import asyncio
import base64
import hashlib
import hmac
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from simulators.server import Answer, Call, Route, Server
from simulators.telco import CALLBACK_SECRET, Pace, Telco
from simulators.telco_books import Books

PACE = Pace(open_s=10, reverse_s=20, late_s=30)


class HandClock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


class Buyer:
    """A client of the simulator, with an address for its callbacks."""

    def __init__(self, telco: Telco, clock: HandClock) -> None:
        self.telco = telco
        self.clock = clock
        self.callbacks: list[Call] = []
        self._http = httpx.AsyncClient(base_url=telco.url, timeout=0.3)
        self._ear = Server([Route(method="POST", path="/callback", handler=self._hear)])

    async def __aenter__(self) -> "Buyer":
        await self._ear.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ear.stop()
        await self._http.aclose()

    async def _hear(self, call: Call) -> Answer:
        self.callbacks.append(call)
        return Answer(body={})

    def told(self) -> list[str]:
        return [msgspec.json.decode(call.body)["status"]["message"] for call in self.callbacks]

    async def buy(self, ref: str, ending: int = 0, **other: object) -> httpx.Response:
        body = {
            "external_id": ref,
            "product_id": "CELLCARD-AIRTIME",
            "amount": "1.25",
            "credit_party_identifier": {"mobile_number": f"+855123456{ending:02d}"},
            "callback_url": f"{self._ear.url}/callback",
            **other,
        }
        return await self._http.post("/v1/async/transactions", json=body)

    async def status(self, ref: str) -> str | None:
        found = await self._http.get("/v1/transactions", params={"external_id": ref})
        return found.json()[0]["status"]["message"] if found.json() else None

    async def after(self, seconds: float) -> None:
        self.clock.seconds += seconds
        await self.telco.tick()


@pytest.fixture
async def buyer() -> AsyncIterator[Buyer]:
    clock = HandClock()
    telco = Telco(Books(), pace=PACE, now=clock, tick_s=None)
    async with telco, Buyer(telco, clock) as buyer:
        yield buyer


@pytest.mark.parametrize("ending", [0, 1, 42, 79, 93, 99])
async def test_an_ordinary_number_gets_its_airtime_at_once(buyer: Buyer, ending: int) -> None:
    answer = await buyer.buy("r1", ending)
    assert (answer.status_code, answer.json()["status"]["message"]) == (201, "COMPLETED")
    books = buyer.telco.books
    assert [d.amount_minor for d in books.deliveries("r1")] == [125]
    assert books.float_minor() == 100_000_000 - 125


async def test_a_used_reference_is_refused_and_delivers_nothing_more(buyer: Buyer) -> None:
    await buyer.buy("r1")
    again = await buyer.buy("r1")
    assert again.status_code == 400
    assert again.json()["errors"][0]["code"] == 1007001
    assert len(buyer.telco.books.deliveries("r1")) == 1
    assert buyer.telco.books.calls("r1") == 2


@pytest.mark.parametrize(
    ("ending", "answered", "at_first", "after_10_s", "after_40_s", "delivered"),
    [
        (80, 201, "SUBMITTED", "COMPLETED", "COMPLETED", 1),
        (81, 201, "DECLINED", "DECLINED", "DECLINED", 0),
        (82, None, "COMPLETED", "COMPLETED", "COMPLETED", 1),
        (83, None, None, None, None, 0),
        (84, 201, "SUBMITTED", "COMPLETED", "COMPLETED", 1),
        (85, 201, "COMPLETED", "COMPLETED", "COMPLETED", 1),
        (86, 201, "COMPLETED", "COMPLETED", "REVERSED", 1),
        (87, 429, None, None, None, 0),
        (88, 400, None, None, None, 0),
        (89, 503, None, None, None, 0),
        (90, 201, "SUBMITTED", "COMPLETED", "COMPLETED", 1),
        (91, 201, "SUBMITTED", "COMPLETED", "COMPLETED", 1),
        (92, None, None, None, "COMPLETED", 1),
    ],
)
async def test_the_last_two_digits_choose_what_happens(
    buyer: Buyer,
    ending: int,
    answered: int | None,
    at_first: str | None,
    after_10_s: str | None,
    after_40_s: str | None,
    delivered: int,
) -> None:
    if answered is None:
        with pytest.raises(httpx.ReadTimeout):
            await buyer.buy("r1", ending)
    else:
        assert (await buyer.buy("r1", ending)).status_code == answered
    assert await buyer.status("r1") == at_first
    await buyer.after(10)
    assert await buyer.status("r1") == after_10_s
    await buyer.after(30)
    assert await buyer.status("r1") == after_40_s
    assert len(buyer.telco.books.deliveries("r1")) == delivered
    assert buyer.telco.books.calls("r1") == 1


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (0, ["COMPLETED"]),
        (80, ["SUBMITTED", "COMPLETED"]),
        (84, ["SUBMITTED", "SUBMITTED", "COMPLETED", "COMPLETED"]),
        (90, ["COMPLETED", "SUBMITTED"]),
        (86, ["COMPLETED", "REVERSED"]),
        (91, ["DECLINED"]),
    ],
)
async def test_callbacks_come_as_the_number_says(
    buyer: Buyer, ending: int, told: list[str]
) -> None:
    await buyer.buy("r1", ending)
    await buyer.after(5)
    await buyer.after(40)
    assert buyer.told() == told


async def test_85_calls_back_before_it_answers(buyer: Buyer) -> None:
    await buyer.buy("r1", 85)
    assert buyer.told() == ["COMPLETED"]


@pytest.mark.parametrize(("ending", "genuine"), [(85, True), (91, False)])
async def test_callbacks_are_signed_save_the_forged_one(
    buyer: Buyer, ending: int, genuine: bool
) -> None:
    await buyer.buy("r1", ending)
    await buyer.after(1)
    call = buyer.callbacks[0]
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode()
    mac = hmac.digest(CALLBACK_SECRET.encode(), signed + call.body, hashlib.sha256)
    said = call.headers["webhook-signature"].removeprefix("v1,")
    assert (base64.b64encode(mac).decode() == said) is genuine


async def test_a_reversal_gives_the_float_back(buyer: Buyer) -> None:
    await buyer.buy("r1", 86)
    await buyer.after(40)
    assert buyer.telco.books.float_minor() == 100_000_000
    assert [d.taken_back for d in buyer.telco.books.deliveries("r1")] == [True]


async def test_an_empty_float_sells_nothing(buyer: Buyer) -> None:
    for n in range(100):
        buyer.telco.books.open(
            ref=f"big-{n}",
            number="+85512345600",
            product="CELLCARD-AIRTIME",
            amount_minor=1_000_000,
            life=[],
            callbacks=[],
        )
        buyer.telco.books._kept.execute(
            "insert into steps (ref, status, due_at) values (?, 7, 0)", (f"big-{n}",)
        )
    await buyer.after(0)
    assert buyer.telco.books.float_minor() == 0
    assert (await buyer.buy("r1")).json()["errors"][0]["code"] == 1006001


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"product_id": "SMART-AIRTIME"}, 1005003),
        ({"product_id": "CELLCARD"}, 1003001),
        ({"product_id": "QB-AIRTIME"}, 1003001),
        ({"amount": "0.99"}, 1003002),
        ({"amount": "100.01"}, 1003002),
        ({"amount": "1.255"}, 1003002),
    ],
)
async def test_what_is_not_sold_is_refused(buyer: Buyer, other: dict[str, Any], code: int) -> None:
    answer = await buyer.buy("r1", **other)
    assert answer.json()["errors"][0]["code"] == code
    assert buyer.telco.books.deliveries() == []


async def test_the_look_up_knows_prefixes_and_ported_numbers() -> None:
    ported = {"+85512345600": "SMART"}
    async with (
        Telco(Books(), ported=ported) as telco,
        httpx.AsyncClient(base_url=f"{telco.url}/v1") as http,
    ):
        said = {
            number: (await http.get(f"/lookup/mobile-number/+855{number}")).json()
            for number in ("12345601", "12345600", "971234567", "19123456")
        }
        sold = (await http.get("/products", params={"operator": "SMART"})).json()
    assert said["12345601"][0]["id"] == "CELLCARD"
    assert said["12345600"][0]["id"] == "SMART"
    assert said["971234567"][0]["id"] == "METFONE"
    assert said["19123456"]["errors"][0]["code"] == 1005003
    assert [product["id"] for product in sold] == ["SMART-AIRTIME"]


async def test_the_books_survive_kill_9_and_still_refuse_a_used_reference(tmp_path: Path) -> None:
    file = tmp_path / "telco.sqlite"
    for life in (1, 2):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulators.telco", "--books", str(file)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().split()[-1]
        async with httpx.AsyncClient(base_url=url) as http:
            order = {
                "external_id": "r1",
                "product_id": "CELLCARD-AIRTIME",
                "amount": "1",
                "credit_party_identifier": {"mobile_number": "+85512345600"},
            }
            answer = await http.post("/v1/async/transactions", json=order)
            books = (await http.get("/books")).json()
        assert answer.status_code == (201 if life == 1 else 400)
        assert books["calls"] == {"r1": life}
        assert len(books["deliveries"]) == 1
        process.send_signal(signal.SIGKILL if life == 1 else signal.SIGTERM)
        assert await process.wait() == (-signal.SIGKILL if life == 1 else 0)
