"""A holder enrols a phone, through the doors: paired at an ATM or a branch, signed in, code app
set up, and then money moves on what the phone signs."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.resources import Resources
from simulators.atm import AtmHost
from simulators.phone import Phone, PhoneError, enrol
from simulators.phone_keys import canonical_of
from simulators.sms_gateway import Messages, SmsGateway
from tests import world
from tests.desk import Desk
from tests.wallet.qr_steps import code_of
from wallet import jobs
from wallet.access import atm_hosts, challenges, machines, sending
from wallet.access.machines import Algorithm
from wallet.access.sending import Channels
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, Secret
from wallet.registry import holders
from wallet.terms import Sort, establish
from wallet.work import SYSTEM, WORKER, Work, Works

PIN = "730428"
NUMBER = "+85512345678"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ACLEDA = BankId("ACLEDA")


@pytest.fixture
async def holder(resources: Resources) -> world.WorldHolder:
    return await world.holder(
        resources.works, khr=100_000, vault=resources.vault, phone=NUMBER, language="en"
    )


@pytest.fixture
async def atm(resources: Resources, client: httpx.AsyncClient, clock: TurnedClock) -> AtmHost:
    await world.establish(resources.works)
    public = KEY.public_key().public_bytes_raw()

    async def set_up(work: Work) -> None:
        await machines.add_key(
            work,
            resources.vault,
            machine=machines.atm_host(ACLEDA),
            keyid="acleda-1",
            algorithm=Algorithm.ED25519,
            key=Secret(public),
        )
        await atm_hosts.list_terminals(work, ACLEDA, ["ATM1"], ["Phsar Thmei"])

    await resources.works.perform(SYSTEM, ACLEDA, set_up)
    return AtmHost(client, keyid="acleda-1", key=KEY, terminal="ATM1", clock=clock.now)


Enter = Callable[[str], Awaitable[None]]


def at_atm(atm: AtmHost, number: str) -> Enter:
    """Enters a pairing code at the machine with this Smart ID in it."""

    async def enter(code: str) -> None:
        answer = await atm.post(
            "/v1/atm/pairings/confirm",
            {"smart_id_number": number, "pin_verified": True, "code": code},
            key=f"pair-{code}",
        )
        assert answer.status == 200, answer.body
        assert answer.body["state"] == "CONFIRMED"

    return enter


@pytest.fixture
async def phone(
    client: httpx.AsyncClient, clock: TurnedClock, atm: AtmHost, holder: world.WorldHolder
) -> Phone:
    phone = Phone(client, now=clock.now)
    await enrol(phone, PIN, at_atm(atm, holder.smart_id_number))
    clock.advance(timedelta(seconds=31))
    return phone


async def test_from_a_fresh_phone_to_a_paid_code(
    phone: Phone, holder: world.WorldHolder, clock: TurnedClock
) -> None:
    me = await phone.get("/me")
    assert me["name_latin"] == holder.name_latin
    assert me["authenticator"] is True
    assert me["device"]["cooling_until"] is None

    shown = await phone.prepare("qr.pay", code=code_of(clock))
    assert shown["money"] == {"amount_minor": 15_000, "currency": "KHR"}
    paid = await phone.authorise(shown)
    again = await phone.authorise(shown)
    assert paid == again

    accounts = {account["currency"]: account for account in await phone.get("/accounts")}
    assert accounts["KHR"]["available"]["amount_minor"] == 85_000
    page = await phone.get(f"/accounts/{accounts['KHR']['account_id']}/entries", limit=1)
    assert [line["amount"]["amount_minor"] for line in page["items"]] == [-15_000]
    older = await phone.get(
        f"/accounts/{accounts['KHR']['account_id']}/entries", limit=1, cursor=page["next"]
    )
    assert [line["amount"]["amount_minor"] for line in older["items"]] == [100_000]
    assert older["next"] is None

    seen = await phone.get(f"/intents/{shown['id']}")
    assert (seen["state"], seen["answer"]) == ("DONE", paid)


async def test_tigerbeetle_27_the_answer_to_a_payment_says_what_is_left(
    phone: Phone, clock: TurnedClock
) -> None:
    """P6: asked for there since 2021. Here it is that of the very transaction."""
    left = []
    for _ in range(2):
        paid = await phone.authorise(await phone.prepare("qr.pay", code=code_of(clock)))
        left.append(paid["available_minor"])
    assert left == [85_000, 70_000]


async def test_a_phone_changes_riel_into_dollars_at_the_rate_it_was_shown(
    phone: Phone, works: Works, holder: world.WorldHolder, clock: TurnedClock
) -> None:
    rate = {"mid_hundredths": 400_000, "spread_bps": 0}
    await works.perform(SYSTEM, holder.bank, lambda work: establish(work, Sort.RATES, rate))
    shown = await phone.prepare("exchange", amount="40000", currency="KHR")
    assert shown["facts"]["valid_until"] > clock.now().isoformat()
    changed = await phone.authorise(shown)
    assert (changed["got_minor"], changed["got_currency"]) == (10_00, "USD")
    accounts = {account["currency"]: account for account in await phone.get("/accounts")}
    assert accounts["KHR"]["available"]["amount_minor"] == 60_000
    assert accounts["USD"]["available"]["amount_minor"] == 10_00

    late = await phone.prepare("exchange", amount="40000", currency="KHR")
    clock.advance(timedelta(seconds=60))
    with pytest.raises(PhoneError) as error:
        await phone.authorise(late)
    assert (error.value.status, error.value.code) == (409, "quote_expired")


async def test_the_phone_is_the_same_after_a_kill(
    client: httpx.AsyncClient,
    clock: TurnedClock,
    atm: AtmHost,
    holder: world.WorldHolder,
    tmp_path: Path,
) -> None:
    file = tmp_path / "phone.json"
    first = Phone(client, file=file, now=clock.now)
    code = await first.begin_pairing()
    await at_atm(atm, holder.smart_id_number)(code)
    second = Phone(client, file=file, now=clock.now)
    await second.complete_pairing(PIN)
    third = Phone(client, file=file, now=clock.now)
    await third.sign_in()
    assert (await third.get("/me"))["holder_id"] == str(holder.id)
    assert file.stat().st_mode & 0o077 == 0


async def test_at_a_branch_two_clerks_pair_a_phone(
    client: httpx.AsyncClient, clock: TurnedClock, desk: Desk, resources: Resources
) -> None:
    holder = await world.holder(resources.works, vault=resources.vault)
    phone = Phone(client, now=clock.now)
    code = await phone.begin_pairing()
    headers = {}
    for login in ("maker.acleda", "checker.acleda"):
        await desk.enrol(login)
        headers[login] = await desk.session(login)
    clock.advance(timedelta(seconds=31))

    asked = {"smart_id_number": holder.smart_id_number, "code": code}
    request = await client.post(
        "/v1/bank/pairing-requests",
        json=asked,
        headers={**headers["maker.acleda"], "idempotency-key": "a"},
    )
    assert request.status_code == 201, request.text
    path = f"/v1/bank/pairing-requests/{request.json()['pairing_id']}/approve"

    own = await client.post(
        path, json={"totp": desk.code()},
        headers={**headers["maker.acleda"], "idempotency-key": "b"},
    )  # fmt: skip
    assert own.json()["code"] == "four_eyes"
    wrong = await client.post(
        path, json={"totp": "000000"},
        headers={**headers["checker.acleda"], "idempotency-key": "c"},
    )  # fmt: skip
    assert wrong.json()["code"] == "otp_wrong"
    approved = await client.post(
        path, json={"totp": desk.code()},
        headers={**headers["checker.acleda"], "idempotency-key": "d"},
    )  # fmt: skip
    assert approved.json()["state"] == "CONFIRMED"
    assert (await phone.complete_pairing(PIN))["holder_id"] == str(holder.id)
    await phone.sign_in()


async def test_a_wrong_code_at_the_machine_is_told_and_its_repeat_is_not_counted(
    phone: Phone, atm: AtmHost, holder: world.WorldHolder
) -> None:
    body = {"smart_id_number": holder.smart_id_number, "pin_verified": True, "code": "00000000"}
    for _ in range(3):
        answer = await atm.post("/v1/atm/pairings/confirm", body, key="same")
        assert (answer.status, answer.code) == (409, "pairing_invalid")
        assert answer.body["facts"] == {"tries_left": 4}


async def test_a_sent_code_comes_by_sms_and_lets_through_what_it_names(
    client: httpx.AsyncClient,
    clock: TurnedClock,
    atm: AtmHost,
    holder: world.WorldHolder,
    resources: Resources,
) -> None:
    async with SmsGateway(Messages()) as gateway:
        phone = Phone(client, now=clock.now, number=NUMBER, sms_gateway=gateway.url)
        await enrol(phone, PIN, at_atm(atm, holder.smart_id_number))
        working = asyncio.create_task(worker(resources, gateway))
        # the code app's code of this half minute is used up, so the phone asks for one by SMS
        shown = await phone.prepare("totp.enrol")
        assert shown["needs"] == {
            "signature": True, "otp": "required", "otp_methods": ["totp", "sms", "recovery"]
        }  # fmt: skip
        answer = await phone.authorise(shown)
        assert answer["authenticator"] == "ENROLLED"
        working.cancel()
        [message] = gateway.messages.to(NUMBER)
        assert "Replace the code app" in message.text


async def worker(resources: Resources, gateway: SmsGateway) -> None:
    """Sends what is asked for, as the worker's handler does."""

    class Port:
        async def send(self, *, to: str, text: str, ref: str) -> None:
            async with httpx.AsyncClient() as sms:
                body = {"to": to, "text": text, "ref": ref}
                await sms.post(f"{gateway.url}/messages", json=body)

    works, vault = resources.works, resources.vault
    while True:
        now = resources.clock.now()
        for job in await jobs.lease(resources.database, [challenges.SEND], 10, now):
            await sending.send(
                works,
                vault,
                Channels(sms=Port()),
                lambda work, holder_id: holders.phone(work, vault, holder_id),
                WORKER,
                job.payload,
            )
        await asyncio.sleep(0.05)


async def test_what_the_door_turns_away(
    phone: Phone, client: httpx.AsyncClient, clock: TurnedClock
) -> None:
    async def told(call: Awaitable[Any]) -> tuple[int, str]:
        with pytest.raises(PhoneError) as error:
            await call
        return error.value.status, error.value.code

    assert await told(phone.prepare("money.print")) == (422, "intent_kind_unknown")
    assert await told(phone.prepare("qr.pay", code="x", extra=1)) == (400, "invalid_request")
    assert await told(phone.prepare("qr.pay", code=7)) == (400, "invalid_request")
    assert await told(phone.prepare("qr.pay")) == (400, "invalid_request")
    nobodys = "01890000-0000-7000-8000-000000000000"
    assert await told(phone.get(f"/intents/{nobodys}")) == (404, "not_found")
    factors = {"signature": "A" * 86, "kind": "qr.pay"}
    path = f"/intents/{nobodys}/authorise"
    assert await told(phone.post(path, factors)) == (404, "not_found")
    assert await told(phone.post(path, {"signature": "A" * 86})) == (404, "not_found")
    for otp in ("１２３４５６", "12345", "១២៣៤៥៦"):
        assert await told(phone.post(path, {**factors, "otp": otp})) == (400, "invalid_request")
    assert (await told(phone.post(path, {**factors, "otp": 123456})))[0] == 400
    assert (await told(phone.get("/accounts/999999/entries")))[0] == 404
    assert await told(phone.get("/accounts/999999/entries", cursor="!")) == (400, "cursor_invalid")

    shown = await phone.prepare("qr.pay", code=code_of(clock))
    forged = {"signature": "A" * 86, "kind": "qr.pay"}
    assert await told(phone.post(f"/intents/{shown['id']}/authorise", forged)) == (
        401, "signature_invalid",
    )  # fmt: skip
    clock.advance(timedelta(seconds=121))
    assert await told(phone.authorise(shown)) == (410, "intent_expired")

    missing = await client.post("/v1/mobile/pairings", json={"public_key": phone.key.public})
    assert missing.json()["code"] == "idempotency_key_missing"
    bad = await client.post(
        "/v1/mobile/pairings", json={"public_key": "AA"}, headers={"idempotency-key": "k"}
    )
    assert bad.status_code == 400
    await phone.sign_out()
    assert await told(phone.get("/me")) == (401, "unauthenticated")
    await phone.sign_in()


async def test_bytes_that_differ_from_the_screen_are_not_signed(
    phone: Phone, clock: TurnedClock
) -> None:
    shown = await phone.prepare("qr.pay", code=code_of(clock))
    canonical_of(shown, str(phone.holder_id), str(phone.device_id))
    with pytest.raises(Exception, match=shown["id"]):
        await phone.authorise({**shown, "money": {"amount_minor": 1, "currency": "KHR"}})


async def test_another_persons_intent_and_account_are_as_good_as_none(
    phone: Phone,
    client: httpx.AsyncClient,
    clock: TurnedClock,
    atm: AtmHost,
    resources: Resources,
) -> None:
    other = await world.holder(resources.works, vault=resources.vault)
    stranger = Phone(client, now=clock.now)
    await enrol(stranger, "847261", at_atm(atm, other.smart_id_number))
    shown = await phone.prepare("qr.pay", code=code_of(clock))
    signature = phone.key.sign(canonical_of(shown, str(phone.holder_id), str(phone.device_id)))
    accounts = await phone.get("/accounts")
    for call in (
        stranger.get(f"/intents/{shown['id']}"),
        stranger.post(f"/intents/{shown['id']}/authorise", {"signature": signature}),
        stranger.post(
            f"/intents/{shown['id']}/authorise", {"signature": signature, "kind": "qr.pay"}
        ),
        stranger.post(f"/intents/{shown['id']}/code", {}),
        stranger.get(f"/accounts/{accounts[0]['account_id']}/entries"),
    ):
        with pytest.raises(PhoneError) as error:
            await call
        assert error.value.status == 404


async def test_everything_asked_at_once_is_done_once(phone: Phone, clock: TurnedClock) -> None:
    shown = [await phone.prepare("qr.pay", code=code_of(clock, amount="1000")) for _ in range(8)]
    calls = [phone.authorise(one) for one in shown for _ in range(4)]
    answers = await asyncio.gather(*calls)
    assert len({str(answer) for answer in answers}) == 8
    accounts = {account["currency"]: account for account in await phone.get("/accounts")}
    assert accounts["KHR"]["available"]["amount_minor"] == 92_000
