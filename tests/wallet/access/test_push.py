"""Codes by push: sealed to the phone that asked, by one channel, by SMS when push fails."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from joserfc.errors import JoseError

from notifications.channels.push import FAILURES, PAUSE_S, HttpPush, PushNotAcceptedError
from simulators.phone_keys import DeviceKey
from simulators.push_gateway import Pushes, PushGateway
from simulators.server import Answer, Call, Route, Server, Silence
from tests import world
from tests.behind import rows_of_all_banks
from tests.phones import Pocket, gift
from tests.wallet.access.test_sending import jobs_of, send
from wallet.access import devices, push
from wallet.access.intents import OtpPolicy
from wallet.access.sending import Channels
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import Secret
from wallet.outcomes import Reason, Refused
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

CODED = gift(OtpPolicy.ALWAYS)
ADDRESS = "sim:the-phone-of-sok-dara-00000001"
NUMBER = "+85512345678"


class Gateways:
    """What was handed to either gateway, by reference; `fate` is what push comes to."""

    def __init__(self) -> None:
        self.fate: bool | OSError = True
        self.pushed: dict[str, tuple[str, str]] = {}
        self.texts: dict[str, str] = {}
        self.tries = 0

    async def push(self, *, to: str, sealed: str, ref: str, lives_s: int) -> bool:
        assert 0 < lives_s <= 120
        self.tries += 1
        if isinstance(self.fate, OSError):
            raise self.fate
        if self.fate:
            self.pushed[ref] = (to, sealed)
        return self.fate

    async def send(self, *, to: str, text: str, ref: str) -> None:
        assert to == NUMBER
        self.texts[ref] = text

    @property
    def channels(self) -> Channels:
        return Channels(sms=self, push=self)


@pytest.fixture
async def pocket(works: Works, teller: Teller, vault: Vault, throttle: Throttle) -> Pocket:
    holder = await world.holder(works, vault=vault, phone=NUMBER)
    pocket = await Pocket(works, teller, vault, holder, throttle=throttle).pair()
    await reach(pocket, ADDRESS)
    return pocket


async def reach(pocket: Pocket, address: str) -> None:
    await pocket.works.perform(
        pocket.actor, pocket.bank,
        lambda work: push.register(
            work, pocket.vault, pocket.holder.id, pocket.device_id, Secret(address)
        ),
    )  # fmt: skip


async def addresses(database: Database) -> int:
    return len(await rows_of_all_banks(database, "select device_id from push_addresses"))


async def run_jobs(pocket: Pocket, gateways: Gateways) -> None:
    """The newest job that sends a code, twice: as after a worker that died in the middle."""
    payload = (await jobs_of(pocket.works))[-1]
    for _ in range(2):
        await send(pocket, gateways.channels, payload)


async def test_a_code_goes_by_push_alone_and_only_the_phone_that_asked_reads_it(
    pocket: Pocket,
) -> None:
    gateways = Gateways()
    shown = await pocket.prepare(CODED)
    code = await pocket.ask_code(shown)
    await run_jobs(pocket, gateways)
    assert gateways.texts == {}
    assert gateways.tries == 1, "what was accepted is not handed over again"
    [(to, sealed)] = gateways.pushed.values()
    assert to == ADDRESS
    assert code not in sealed
    assert pocket.key.decrypt(sealed) == {
        "intent_id": shown["id"], "text": f"{code} is your Smart ID code: Give 5000 to LUCKY.",
    }  # fmt: skip
    with pytest.raises(JoseError):
        DeviceKey.fresh().decrypt(sealed)


@pytest.mark.parametrize("why", [PushNotAcceptedError("503"), PushNotAcceptedError("ReadTimeout")])
async def test_refused_or_silent_it_goes_by_sms_and_stays_there(
    pocket: Pocket, why: OSError
) -> None:
    gateways = Gateways()
    gateways.fate = why
    code = await pocket.ask_code(await pocket.prepare(CODED))
    await run_jobs(pocket, gateways)
    gateways.fate = True
    await run_jobs(pocket, gateways)
    assert (gateways.tries, gateways.pushed) == (1, {})
    assert [text[:8] for text in gateways.texts.values()] == [code]


async def test_an_address_nobody_is_at_is_forgotten_but_not_the_one_given_since(
    pocket: Pocket, database: Database, clock: TurnedClock
) -> None:
    gateways = Gateways()
    gateways.fate = False
    await pocket.ask_code(await pocket.prepare(CODED))
    [payload] = await jobs_of(pocket.works)

    class GivenMeanwhile(Gateways):
        async def push(self, **sent: Any) -> bool:
            clock.advance(timedelta(seconds=1))
            await reach(pocket, ADDRESS + "-anew")
            return False

    await send(pocket, GivenMeanwhile().channels, payload)
    assert await addresses(database) == 1
    await pocket.ask_code(await pocket.prepare(CODED))
    await run_jobs(pocket, gateways)
    assert len(gateways.texts) == 1
    assert await addresses(database) == 0


async def test_asked_for_anew_after_a_push_it_comes_by_sms_and_both_count_as_one_limit(
    pocket: Pocket,
) -> None:
    gateways = Gateways()
    shown = await pocket.prepare(CODED)
    first = await pocket.ask_code(shown)
    await run_jobs(pocket, gateways)
    second = await pocket.ask_code(shown)
    await run_jobs(pocket, gateways)
    assert len(gateways.pushed) == 1
    assert [text[:8] for text in gateways.texts.values()] == [second]
    assert first != second
    await pocket.ask_code(await pocket.prepare(CODED))
    await run_jobs(pocket, gateways)
    assert len(gateways.pushed) == 2, "another act begins with push again"
    with pytest.raises(Refused) as refused:
        await pocket.ask_code(await pocket.prepare(CODED))
    assert refused.value.reason is Reason.RATE_LIMITED


async def test_an_address_goes_with_its_phone_and_a_revoked_phone_gives_none(
    pocket: Pocket, works: Works, database: Database
) -> None:
    gateways = Gateways()
    await pocket.ask_code(await pocket.prepare(CODED))

    async def revoke(work: Work) -> None:
        await devices.revoke(work, pocket.holder.id, reason="lost")

    await works.perform(SYSTEM, pocket.bank, revoke)
    assert await addresses(database) == 0
    await run_jobs(pocket, gateways)
    assert gateways.pushed == {}
    with pytest.raises(Refused) as refused:
        await reach(pocket, ADDRESS)
    assert refused.value.reason is Reason.DEVICE_NOT_ACTIVE


async def test_no_address_by_its_form_is_kept(pocket: Pocket) -> None:
    for odd in (
        "short",
        "http://169.254.169.254/?a&b ",
        "x" * 513,
        "ផ" * 20,
        "sim:with\nline-end0",
    ):
        with pytest.raises(Refused) as refused:
            await reach(pocket, odd)
        assert refused.value.reason is Reason.INVALID_REQUEST


# the gateway


class Scripted(Server):
    """A gateway that answers with one status, or not at all."""

    def __init__(self) -> None:
        self.status: int | None = 201
        self.asked = 0
        super().__init__([Route(method="POST", path="/pushes", handler=self._push)])

    async def _push(self, _: Call) -> Answer | Silence:
        self.asked += 1
        return Silence() if self.status is None else Answer(status=self.status, body={})


class Moment:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    async with Scripted() as server:
        yield server


async def pushed(port: HttpPush) -> bool | str:
    try:
        return await port.push(to=ADDRESS, sealed="e.y.J", ref="r", lives_s=120)
    except PushNotAcceptedError as why:
        return str(why)


async def test_a_silent_gateway_is_waited_for_so_long_and_then_left_alone_for_a_while(
    gateway: Scripted,
) -> None:
    moment = Moment()
    async with httpx.AsyncClient() as client:
        port = HttpPush(client, gateway.url, timeout_s=0.1, now=moment)
        gateway.status = None
        assert {await pushed(port) for _ in range(FAILURES)} <= {"ReadTimeout", "TimeoutError"}
        assert await pushed(port) == "gateway rests"
        assert gateway.asked == FAILURES
        moment.s += PAUSE_S
        gateway.status = 503
        assert await pushed(port) == "503"
        assert await pushed(port) == "gateway rests", "one try was enough"
        moment.s += PAUSE_S
        gateway.status = 201
        assert [await pushed(port) for _ in range(3)] == [True] * 3


async def test_only_gone_means_that_nobody_is_there(gateway: Scripted) -> None:
    async with httpx.AsyncClient() as client:
        port = HttpPush(client, gateway.url, now=Moment())
        for status, told in ((410, False), (404, False), (200, True), (429, "429"), (400, "400")):
            gateway.status = status
            assert await pushed(port) == told


async def test_the_simulated_gateway_keeps_a_message_once_and_knows_who_left() -> None:
    async with PushGateway(Pushes()) as server, httpx.AsyncClient(base_url=server.url) as client:
        asked = {"installation": "one phone"}
        told = [(await client.post("/addresses", json=asked)).json()["address"] for _ in range(2)]
        assert told[0] == told[1]
        port = HttpPush(client, server.url)
        for _ in range(2):
            assert await port.push(to=told[0], sealed="e.y.J", ref="r", lives_s=120)
        assert [one.ref for one in server.pushes.to(told[0])] == ["r"]
        await client.delete(f"/addresses/{told[0]}")
        assert not await port.push(to=told[0], sealed="e.y.J", ref="s", lives_s=120)
