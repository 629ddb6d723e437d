"""Passkeys over HTTP, with a software authenticator: real CBOR, COSE and P-256 signatures."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.passkey import USER_PRESENT, Authenticator
from tests.behind import rows_of_all_banks
from tests.desk import COOKIE, HOST, PASSPHRASE, TICKET, Desk
from wallet.access import passkeys
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import Secret, new_id
from wallet.work import SYSTEM

DOOR = "/v1/support"
CASE = f"{DOOR}/disputes/{new_id()}/close"


class Browser:
    """Bopha, a supervisor, at her browser."""

    def __init__(self, client: httpx.AsyncClient, desk: Desk, clock: TurnedClock) -> None:
        self.client, self.desk, self.clock = client, desk, clock
        self.key = Authenticator(HOST)
        self.headers: dict[str, str] = {}

    async def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        self.client.cookies.clear()
        answer = await self.client.request(
            method,
            path if path.startswith("/v1") else DOOR + path,
            json=body,
            headers={**self.headers, "idempotency-key": str(new_id())},
        )
        assert answer.status_code < 500, answer.text
        cookie = answer.headers.get("set-cookie", "")
        if cookie and answer.is_success:
            self.headers = self.desk.headers(cookie.partition(";")[0].removeprefix(f"{COOKIE}="))
        return answer

    async def sign_in(self, login: str = "bopha") -> httpx.Response:
        self.clock.advance(timedelta(seconds=30))
        self.headers = {}
        body = {"login": login, "passphrase": PASSPHRASE, "totp": self.desk.code()}
        return await self.send("POST", "/sessions", body)

    async def register(
        self, key: Authenticator | None = None, *, ticket: str | None = TICKET, **bent: Any
    ) -> httpx.Response:
        options = await self.send("POST", "/passkeys/options")
        assert options.status_code == 200, options.text
        credential = (key or self.key).create(options.json()["public_key"], **bent)
        body = {"name": "ring", "credential": credential, "ticket": ticket}
        return await self.send("POST", "/passkeys", body)

    async def challenge(self) -> dict[str, Any]:
        options = await self.send("POST", "/sessions/current/passkey/options")
        assert options.status_code == 200, options.text
        found: dict[str, Any] = options.json()["public_key"]
        return found

    async def show(self, credential: dict[str, Any]) -> httpx.Response:
        return await self.send("POST", "/sessions/current/passkey", {"credential": credential})

    async def prove(self, **bent: Any) -> httpx.Response:
        return await self.show(self.key.get(await self.challenge(), **bent))

    async def write(self) -> str:
        return str((await self.send("POST", CASE, {"why": "a test"})).json()["code"])


@pytest.fixture
async def bopha(client: httpx.AsyncClient, desk: Desk, clock: TurnedClock) -> Browser:
    """Signed in with passphrase and code, and no passkey yet; her ticket is in her hand."""
    await desk.enrol("bopha")
    await desk.give_ticket("bopha")
    browser = Browser(client, desk, clock)
    opened = await browser.sign_in()
    assert opened.json()["passkey_needed"] is True
    return browser


@pytest.fixture
async def proven(bopha: Browser) -> Browser:
    assert (await bopha.register()).status_code == 201
    return bopha


def code(answer: httpx.Response) -> str:
    return str(answer.json()["code"])


async def test_an_approver_does_nothing_before_a_passkey_is_shown(bopha: Browser) -> None:
    looks = [("GET", "/disputes", None), ("GET", "/emergency-access", None)]
    for method, path, body in [*looks, ("POST", "/search", {"q": "0123456789"})]:
        refused = await bopha.send(method, path, body)
        assert (refused.status_code, code(refused)) == (403, "passkey_required")
    assert await bopha.write() == "passkey_required"
    before = bopha.headers
    registered = await bopha.register()
    assert registered.status_code == 201
    assert registered.json()["passkey_needed"] is False
    assert bopha.headers != before, "a new id"
    assert (await bopha.send("GET", "/disputes")).status_code == 200
    again = await bopha.sign_in()
    assert again.json()["passkey_needed"] is True
    assert (await bopha.send("GET", "/disputes")).status_code == 403
    shown = await bopha.prove()
    assert shown.status_code == 200, shown.text
    assert (await bopha.send("GET", "/disputes")).status_code == 200
    listed = (await bopha.send("GET", "/passkeys")).json()
    assert [one["name"] for one in listed] == ["ring"]


async def test_a_code_does_not_stand_in_for_the_passkey(
    proven: Browser, clock: TurnedClock, desk: Desk
) -> None:
    clock.advance(timedelta(minutes=5))
    assert await proven.write() == "step_up_required"
    stepped = await proven.send("POST", "/sessions/current/step-up", {"totp": desk.code()})
    assert stepped.status_code == 200
    assert await proven.write() == "step_up_required", "a time code alone does not do"
    assert (await proven.prove()).status_code == 200
    assert await proven.write() == "not_found"


async def test_without_the_ticket_passphrase_and_code_register_nothing(
    bopha: Browser, desk: Desk, clock: TurnedClock
) -> None:
    """Whoever phished the two would otherwise bring a passkey of their own."""
    for ticket in (None, "", "x" * 32):
        assert code(await bopha.register(ticket=ticket)) == "passkey_required"
    clock.advance(timedelta(days=7))
    await bopha.sign_in()
    assert code(await bopha.register()) == "passkey_required", "after a week it is void"
    await desk.give_ticket("bopha")
    assert (await bopha.register()).status_code == 201


async def test_a_further_passkey_needs_one_shown_just_now_and_the_ticket_is_spent(
    proven: Browser, clock: TurnedClock
) -> None:
    clock.advance(timedelta(minutes=5))
    second = Authenticator(HOST)
    assert code(await proven.register(second)) == "step_up_required"
    await proven.prove()
    assert code(await proven.register()) == "conflict", "this one is registered already"
    assert (await proven.register(second, ticket=None)).status_code == 201
    proven.key = second
    assert (await proven.prove()).status_code == 200


async def test_a_challenge_is_answered_once_within_two_minutes_in_its_own_session(
    proven: Browser, clock: TurnedClock
) -> None:
    options = await proven.challenge()
    assert (await proven.show(proven.key.get(options))).status_code == 200
    assert code(await proven.show(proven.key.get(options))) == "passkey_invalid", "spent"
    options = await proven.challenge()
    assert code(await proven.show(proven.key.get(options, flags=USER_PRESENT))) == (
        "passkey_invalid"
    )
    assert code(await proven.show(proven.key.get(options))) == "passkey_invalid", (
        "a wrong answer spends it as well"
    )
    old = await proven.challenge()
    fresh = await proven.challenge()
    assert old["challenge"] != fresh["challenge"]
    assert code(await proven.show(proven.key.get(old))) == "passkey_invalid", "replaced"
    options = await proven.challenge()
    clock.advance(timedelta(minutes=2))
    assert code(await proven.show(proven.key.get(options))) == "passkey_invalid", "too late"
    options = await proven.challenge()
    await proven.sign_in()
    assert code(await proven.show(proven.key.get(options))) == "passkey_invalid", (
        "made in the session before"
    )
    assert (await proven.prove()).status_code == 200


FORGED: dict[str, dict[str, Any]] = {
    "another site's page": {"origin": "https://evil.example"},
    "a page without TLS": {"origin": f"http://{HOST}"},
    "a name that begins like ours": {"origin": f"https://{HOST}.evil.example"},
    "another host's key": {"host": "evil.example"},
    "a framed page": {"cross_origin": True},
    "a framed page, by its top": {"client": {"topOrigin": "https://evil.example"}},
    "nobody was verified": {"flags": USER_PRESENT},
    "nobody was there": {"flags": 0x04},
    "another challenge": {"challenge": "A" * 43},
    "no challenge": {"challenge": ""},
    "the other ceremony": {"type": "webauthn.create"},
    "no signature to speak of": {"signature": b"\x30\x06\x02\x01\x00\x02\x01\x00"},
    "raw instead of DER": {"signature": bytes(64)},
    "signed over other client data": {"signed_client": b"{}"},
    "an id nobody has": {"id": bytes(32)},
}


async def test_a_forged_proof_opens_nothing(proven: Browser) -> None:
    await proven.sign_in()
    for what, bent in FORGED.items():
        assert code(await proven.prove(**bent)) == "passkey_invalid", what
        assert (await proven.send("GET", "/disputes")).status_code == 403, what
    assert (await proven.prove()).status_code == 200, "and a true one does"


async def test_somebody_elses_passkey_is_none_of_hers(
    proven: Browser, desk: Desk, client: httpx.AsyncClient, clock: TurnedClock
) -> None:
    await desk.enrol("vanna")
    await desk.give_ticket("vanna")
    vanna = Browser(client, desk, clock)
    await vanna.sign_in("vanna")
    assert (await vanna.register()).status_code == 201
    await proven.sign_in()
    options = await proven.challenge()
    assert code(await proven.show(vanna.key.get(options))) == "passkey_invalid"


async def test_a_counter_that_does_not_grow_is_refused_and_the_key_is_trusted_no_more(
    proven: Browser, database: Database
) -> None:
    assert (await proven.prove(count=7)).status_code == 200
    for count in (7,):
        assert code(await proven.prove(count=count)) == "passkey_invalid"
    refused = await proven.send("POST", "/sessions/current/passkey/options")
    assert code(refused) == "passkey_required", "two authenticators share it: it is revoked"
    acts = [
        row["act"]
        for row in await rows_of_all_banks(database, "select act from audit order by seq")
    ]
    assert acts[-1] == "staff.passkey_cloned"


async def test_an_authenticator_without_a_counter_says_nought_for_ever(proven: Browser) -> None:
    for _ in range(3):
        assert (await proven.prove(count=0)).status_code == 200


REGISTRATIONS: dict[str, dict[str, Any]] = {
    "another site's page": {"origin": "https://evil.example"},
    "another host's key": {"host": "evil.example"},
    "nobody was verified": {"flags": USER_PRESENT},
    "the other ceremony": {"type": "webauthn.get"},
    "another challenge": {"challenge": "A" * 43},
    "an algorithm we did not ask for": {"cose": {3: -257}},
    "an empty id": {"id": b""},
    "an id too short to be random": {"id": b"short"},
    "no CBOR": {"attestation": b"\xff\x00"},
    "a framed page": {"cross_origin": True},
}


async def test_a_forged_registration_registers_nothing(bopha: Browser, database: Database) -> None:
    for what, bent in REGISTRATIONS.items():
        refused = await bopha.register(**bent)
        assert code(refused) in ("passkey_invalid", "invalid_request"), what
        assert not await database.rows("select from passkeys"), what
    assert (await bopha.register()).status_code == 201, "and the ticket is still good"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(junk=st.binary(max_size=200), where=st.sampled_from(["attestation", "signature"]))
async def test_no_bytes_make_it_fall(proven: Browser, junk: bytes, where: str) -> None:
    """`send` fails on anything of 500 and above."""
    if where == "signature":
        assert code(await proven.prove(signature=junk)) in ("passkey_invalid", "invalid_request")
    else:
        answer = await proven.register(Authenticator(HOST), attestation=junk)
        assert code(answer) in ("passkey_invalid", "invalid_request")


async def test_beginning_anew_revokes_what_was_and_ends_the_session(
    proven: Browser, desk: Desk
) -> None:
    staff_id = desk.people["bopha"].id
    ticket = await desk.works.perform(
        SYSTEM, None, lambda work: passkeys.begin_anew(work, staff_id)
    )
    assert (await proven.send("GET", "/passkeys")).status_code == 401
    await proven.sign_in()
    refused = await proven.send("POST", "/sessions/current/passkey/options")
    assert code(refused) == "passkey_required"
    proven.key = Authenticator(HOST)
    assert code(await proven.register()) == "passkey_required", "the old ticket"
    assert (await proven.register(ticket=ticket.reveal())).status_code == 201


async def test_no_ticket_or_challenge_is_kept_readable(bopha: Browser, database: Database) -> None:
    dump = str(await database.rows("select row_to_json(t)::text from passkey_tickets t"))
    assert TICKET not in dump
    assert Secret(TICKET).reveal().encode().hex() not in dump
