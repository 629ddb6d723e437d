"""Through the doors: a PIN reset, a number changed, a phone given up, sessions listed and ended."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.mobile.kinds import Kinds
from api.resources import Resources
from simulators.atm import AtmHost
from simulators.phone import Phone, PhoneError
from tests import world
from tests.api.mobile.test_enrolment import PIN, at_atm, atm, holder, phone
from tests.desk import Desk
from tests.wallet.qr_steps import code_of
from wallet.access import policy
from wallet.clock import TurnedClock
from wallet.registry import holders
from wallet.work import SYSTEM

__all__ = ["atm", "holder", "phone"]

NEW_NUMBER = "+85598765432"


async def refused(asking: Any) -> tuple[int, str]:
    with pytest.raises(PhoneError) as error:
        await asking
    return error.value.status, error.value.code


async def test_a_forgotten_pin_is_reset_at_an_atm_on_the_same_phone(
    phone: Phone, atm: AtmHost, holder: world.WorldHolder, clock: TurnedClock
) -> None:
    before = phone.device_id
    for _ in range(5):
        assert await refused(phone.sign_in("111222")) == (401, "sign_in_failed")
    assert await refused(phone.sign_in()) == (401, "sign_in_failed")
    assert await refused(phone.post("/pins", {"pin": "918273"})) == (404, "not_found"), "no door"
    await at_atm(atm, holder.smart_id_number)(await phone.begin_pairing())
    await phone.complete_pairing("918273")
    assert phone.device_id == before
    clock.advance(timedelta(minutes=1))
    await phone.sign_in()
    assert (await phone.get("/me"))["device"]["cooling_until"] is not None, "a new PIN"
    await phone.do("qr.pay", code=code_of(clock))


async def test_at_an_atm_the_number_is_changed_and_the_phone_cools_off(
    phone: Phone, atm: AtmHost, holder: world.WorldHolder, resources: Resources, clock: TurnedClock
) -> None:
    body = {"smart_id_number": holder.smart_id_number, "pin_verified": True, "phone": NEW_NUMBER}
    bad = await atm.post("/v1/atm/phone-numbers", {**body, "phone": "098765432"}, key="bad")
    assert (bad.status, bad.code) == (422, "phone_invalid")
    changed = await atm.post("/v1/atm/phone-numbers", body, key="number")
    again = await atm.post("/v1/atm/phone-numbers", body, key="number")
    assert changed.status == again.status == 200
    assert changed.body == again.body
    assert await refused(phone.get("/me")) == (401, "unauthenticated")
    await phone.sign_in()
    shown = await phone.prepare("qr.pay", code=code_of(clock))
    assert shown["needs"]["otp"] == "required"
    number = await resources.works.read(
        SYSTEM, holder.bank, lambda work: holders.phone(work, resources.vault, holder.id)
    )
    assert number is not None
    assert number.reveal() == NEW_NUMBER


async def test_at_a_branch_two_clerks_change_a_number_and_one_takes_a_phone_out(
    phone: Phone,
    client: httpx.AsyncClient,
    holder: world.WorldHolder,
    desk: Desk,
    clock: TurnedClock,
) -> None:
    headers = {}
    for login in ("maker.acleda", "checker.acleda"):
        await desk.enrol(login)
        headers[login] = await desk.session(login)
    clock.advance(timedelta(seconds=31))

    async def post(login: str, path: str, key: str, **body: Any) -> httpx.Response:
        named = {**headers[login], "idempotency-key": key}
        return await client.post(f"/v1/bank{path}", json=body, headers=named)

    number = holder.smart_id_number
    asked = await post(
        "maker.acleda", "/phone-number-changes", "a", smart_id_number=number, phone=NEW_NUMBER
    )
    assert asked.status_code == 201, asked.text
    path = f"/phone-number-changes/{asked.json()['change_id']}/approve"
    assert (await post("maker.acleda", path, "b", totp=desk.code())).json()["code"] == "four_eyes"
    done = await post("checker.acleda", path, "c", totp=desk.code())
    assert done.json()["state"] == "DONE", done.text

    gone = await post(
        "maker.acleda", "/device-revocations", "d", smart_id_number=number, reason="reported lost"
    )
    assert gone.json() == {"revoked": True}
    assert await refused(phone.sign_in()) == (403, "device_not_active")


async def test_a_lost_phone_is_taken_out_at_an_atm(
    phone: Phone, atm: AtmHost, holder: world.WorldHolder
) -> None:
    body = {"smart_id_number": holder.smart_id_number, "pin_verified": True}
    assert (await atm.post("/v1/atm/device-revocations", body, key="x")).body == {"revoked": True}
    assert await refused(phone.get("/me")) == (401, "unauthenticated")
    assert (await atm.post("/v1/atm/device-revocations", body, key="y")).body == {"revoked": False}


async def test_a_holder_gives_the_phone_up_in_the_app(phone: Phone) -> None:
    assert await phone.do("device.revoke") == {"device": "REVOKED"}
    assert await refused(phone.get("/me")) == (401, "unauthenticated")


async def test_sessions_are_listed_and_ended_and_read_longer_than_they_act(
    phone: Phone, clock: TurnedClock
) -> None:
    [session] = await phone.get("/sessions")
    assert (session["current"], session["may_act"]) == (True, True)
    clock.advance(timedelta(minutes=6))
    assert await refused(phone.prepare("qr.pay", code=code_of(clock))) == (401, "sign_in_again")
    assert (await phone.get("/sessions"))[0]["may_act"] is False
    assert len(await phone.get("/accounts")) == 2
    assert await refused(phone.call("DELETE", f"/sessions/{phone.device_id}")) == (
        404, "not_found"
    )  # fmt: skip
    await phone.call("DELETE", f"/sessions/{session['session_id']}")
    assert await refused(phone.get("/accounts")) == (401, "unauthenticated")


async def test_every_act_a_phone_may_ask_for_stands_in_the_policy_table(
    resources: Resources,
) -> None:
    assert Kinds(resources).names == set(policy.shipped().acts)


# A15


async def test_a15_a_sim_swap_alone_reaches_nothing(
    phone: Phone, client: httpx.AsyncClient, resources: Resources, holder: world.WorldHolder
) -> None:
    """Who has the number, the ids and the PIN, but neither the card nor the key, gets no session;
    and without one every operation of the document that is not open answers 401."""
    for key in (None, "00" * 64):
        body = {"device_id": phone.device_id, "challenge": "A" * 43, "pin": PIN,
                "signature": (key or "A" * 86)[:86]}  # fmt: skip
        answer = await client.post("/v1/mobile/sessions", json=body)
        assert answer.status_code in (400, 401), answer.text
    paths = create_app(resources).openapi_schema.to_schema()["paths"]
    told = {
        (method, path): await _unnamed(client, method, path, str(holder.id))
        for path, operations in paths.items()
        for method in operations
        if path.startswith("/v1/mobile") and method in ("get", "post", "put", "patch", "delete")
    }
    let_in = {operation for operation, status in told.items() if status != 401}
    assert let_in == OPEN
    assert len(told) - len(let_in) > 20


OPEN = {
    ("post", "/v1/mobile/pairings"),
    ("get", "/v1/mobile/pairings/{pairing_id}"),
    ("post", "/v1/mobile/pairings/{pairing_id}/complete"),
    ("post", "/v1/mobile/login-challenges"),
    ("post", "/v1/mobile/sessions"),
}
"""Without a session: of no use without the card, a clerk, or the phone's key."""


async def _unnamed(client: httpx.AsyncClient, method: str, path: str, some_id: str) -> int:
    """What an operation answers to nobody."""
    url = re.sub(r"{(\w+)}", lambda name: "7" if "account" in name[0] else some_id, path)
    headers = {"idempotency-key": "k"}
    answer = await client.request(method, url, json={}, headers=headers)
    assert answer.status_code >= 400, (method, path)
    return answer.status_code
