"""A caller is who their signature or token says, or nobody."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import Litestar, Request, get, post
from redis.asyncio import Redis

from api.app import create_app
from api.resources import Resources
from api.security import (
    ANONYMOUS,
    AtmCaller,
    StaffCaller,
    atm_door,
    staff_door,
    with_permission,
)
from api.wire import Body
from simulators.atm import COVERED, AnswerForgedError, AtmHost, NoAnswerError
from tests import world
from tests.api.conftest import HOST
from tests.desk import Desk
from wallet.access import atm_hosts, machines
from wallet.access.machines import Algorithm
from wallet.access.members import Permission, StaffKind
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, Secret
from wallet.work import SYSTEM, Work

ACLEDA, WING = BankId("ACLEDA"), BankId("WING")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SHARED = b"a secret of forty characters, not longer"
PATH = "/v1/atm/cards"

Dial = Callable[[Litestar], httpx.AsyncClient]


class Ask(Body, frozen=True, kw_only=True):
    amount: int


@post("/cards")
async def echo(data: Ask, caller: AtmCaller, idempotency_key: str) -> dict[str, Any]:
    return {
        "amount": data.amount,
        "bank": caller.bank,
        "terminal": caller.terminal,
        "key": idempotency_key,
        "actor": caller.actor.id,
    }


@get("/cards/{name:str}")
async def seen(name: str, caller: AtmCaller) -> dict[str, str]:
    return {"name": name, "terminal": caller.terminal}


@get("/open", opt=ANONYMOUS)
async def open_to_all(request: Request[Any, Any, Any]) -> dict[str, bool]:
    return {"known": "caller" in request.scope["state"]}


@get("/careless", opt=ANONYMOUS)
async def careless(caller: StaffCaller) -> dict[str, str]:
    return {"name": caller.name}


@get("/supervised", guards=[with_permission(Permission.REFUND_APPROVE)])
async def supervised(caller: StaffCaller) -> dict[str, str]:
    return {"name": caller.name}


@pytest.fixture
async def client(resources: Resources, dialled: Dial) -> httpx.AsyncClient:
    await world.establish(resources.works)

    async def furnish(work: Work) -> None:
        for bank, keyid, algorithm, material in (
            (ACLEDA, "acleda-1", Algorithm.ED25519, KEY.public_key().public_bytes_raw()),
            (ACLEDA, "acleda-2", Algorithm.HMAC_SHA256, SHARED),
            (WING, "wing-1", Algorithm.ED25519, KEY.public_key().public_bytes_raw()),
        ):
            await machines.add_key(
                work,
                resources.vault,
                machine=machines.atm_host(bank),
                keyid=keyid,
                algorithm=algorithm,
                key=Secret(material),
            )
        await atm_hosts.list_terminals(work, ACLEDA, ["ATM00001"], ["Phsar Thmei"])
        await atm_hosts.list_terminals(work, WING, ["WNG00001"], ["Olympic"])

    await resources.works.perform(SYSTEM, None, furnish)
    door = atm_door("/v1/atm", [echo, seen, open_to_all])
    staff = staff_door(StaffKind.SUPPORT, "/v1/support", [supervised, careless])
    return dialled(create_app(resources, [door, staff]))


@pytest.fixture
def host(client: httpx.AsyncClient, resources: Resources) -> AtmHost:
    return AtmHost(
        client,
        keyid="acleda-1",
        key=KEY,
        terminal="ATM00001",
        wallet_key=machines.answer_key(resources.vault).public,
        clock=resources.clock.now,
        pause_s=0.0,
    )


async def code_of(host: AtmHost, request: httpx.Request) -> str | None:
    return (await host.send(request)).code


def signed(host: AtmHost, body: bytes = b'{"amount":5}', **changed: Any) -> httpx.Request:
    request = host.signed("POST", PATH, body, key="key-1")
    if changed:
        host.sign(request, body, **changed)
    return request


# what is accepted


async def test_a_signed_request_is_named_by_bank_and_terminal_and_the_answer_is_signed(
    host: AtmHost,
) -> None:
    answer = await host.post(PATH, {"amount": 5}, key="key-1")
    assert answer.status == 201
    assert answer.body == {
        "amount": 5,
        "bank": "ACLEDA",
        "terminal": "ATM00001",
        "key": "key-1",
        "actor": "ACLEDA:ATM00001",
    }


async def test_a_host_with_a_shared_secret_is_named_the_same(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    host = AtmHost(
        client, keyid="acleda-2", key=SHARED, terminal="ATM00001", clock=resources.clock.now
    )
    answer = await host.post(PATH, {"amount": 5}, key="key-1")
    assert answer.body["actor"] == "ACLEDA:ATM00001"


async def test_a_read_is_signed_too_its_query_included(host: AtmHost) -> None:
    answer = await host.get(f"{PATH}/a%20b?x=1&y=%2F")
    assert (answer.status, answer.body) == (200, {"name": "a b", "terminal": "ATM00001"})


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(host: AtmHost) -> None:
    host.lose_answers = 2
    assert (await host.post(PATH, {"amount": 5}, key="key-1")).status == 201
    host.lose_answers = 9
    with pytest.raises(NoAnswerError):
        await host.post(PATH, {"amount": 5}, key="key-1")


async def test_a_clock_up_to_sixty_seconds_off_is_borne(host: AtmHost) -> None:
    for seconds in (-60, -59, 0, 59, 60):
        host.clock_wrong_by = timedelta(seconds=seconds)
        assert (await host.post(PATH, {"amount": 5}, key="key-1")).status == 201, seconds


# what is not


async def test_a_clock_further_off_is_told_so(host: AtmHost) -> None:
    for seconds in (-61, 61, -86_400, 86_400):
        host.clock_wrong_by = timedelta(seconds=seconds)
        assert await code_of(host, signed(host)) == "signature_stale", seconds


async def test_a_signature_that_wants_to_live_longer_than_a_minute_is_refused(
    host: AtmHost, clock: TurnedClock
) -> None:
    for life in (61, 0, -5):
        request = signed(host, expires=clock.now() + timedelta(seconds=life))
        assert await code_of(host, request) == "signature_stale", life


async def test_the_same_signed_request_twice_is_a_replay(host: AtmHost) -> None:
    request = signed(host)
    assert (await host.send(request)).status == 201
    assert await code_of(host, request) == "signature_replayed"


async def test_of_fifty_copies_sent_at_once_one_gets_through(host: AtmHost) -> None:
    request = signed(host)
    answers = await asyncio.gather(*(host.send(request) for _ in range(50)))
    assert sum(answer.status == 201 for answer in answers) == 1


async def test_a_nonce_is_its_keys_own(host: AtmHost, client: httpx.AsyncClient) -> None:
    nonce = "a-nonce-of-sixteen-or-more"
    assert (await host.send(signed(host, nonce=nonce))).status == 201
    other = AtmHost(
        client, keyid="wing-1", key=KEY, terminal="WNG00001", clock=host._clock, pause_s=0
    )
    assert (await other.send(signed(other, nonce=nonce))).status == 201


async def test_another_body_under_the_signature_is_refused(host: AtmHost) -> None:
    request = signed(host)
    forged = httpx.Request("POST", request.url, headers=request.headers, content=b'{"amount":6}')
    assert await code_of(host, forged) == "signature_invalid"


async def test_an_empty_body_under_the_signature_is_refused(host: AtmHost) -> None:
    request = signed(host)
    headers = {k: v for k, v in request.headers.items() if k != "content-length"}
    assert await code_of(host, httpx.Request("POST", request.url, headers=headers)) == (
        "signature_invalid"
    )


async def test_any_byte_flipped_in_what_is_covered_is_refused(host: AtmHost) -> None:
    sample = host.signed("POST", PATH, b'{"amount":5}', key="key-1")
    places = {
        "signature": 200,
        "signature-input": 300,
        "content-digest": 40,
        "idempotency-key": 5,
        "x-terminal-id": 8,
    }
    for field, most in places.items():
        length = min(len(sample.headers[field]), most)
        for place in range(0, length, max(1, length // 12)):
            request = host.signed("POST", PATH, b'{"amount":5}', key="key-1")
            value = request.headers[field]
            other = "A" if value[place] != "A" else "B"
            request.headers[field] = value[:place] + other + value[place + 1 :]
            answer = await host._client.send(request)
            assert answer.status_code in (401, 403), (field, place, answer.text)


async def test_another_method_path_or_query_is_refused(host: AtmHost) -> None:
    request = host.signed("GET", f"{PATH}/one", b"", key="key-1")
    for url in (f"{PATH}/two", f"{PATH}/one?all=1", f"{PATH}/one/"):
        moved = httpx.Request("GET", f"https://{HOST}{url}", headers=request.headers)
        assert (await host._client.send(moved)).status_code in (401, 404), url


async def test_a_request_signed_for_another_name_is_refused(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    host = AtmHost(
        client,
        keyid="acleda-1",
        key=KEY,
        terminal="ATM00001",
        authority="another.bank.test",
        clock=resources.clock.now,
    )
    assert await code_of(host, signed(host)) == "signature_invalid"


async def test_a_component_left_out_of_the_signature_is_refused(host: AtmHost) -> None:
    for missing in COVERED:
        request = host.signed("POST", PATH, b'{"amount":5}', key="key-1")
        covered = tuple(name for name in COVERED if name != missing)
        body = None if missing == "content-digest" else b'{"amount":5}'
        host.sign(request, body, covered_component_ids=covered)
        assert await code_of(host, request) == "signature_invalid", missing


async def test_a_component_too_many_is_refused(host: AtmHost) -> None:
    request = signed(host, covered_component_ids=(*COVERED, "content-type"))
    assert await code_of(host, request) == "signature_invalid"


async def test_a_parameter_left_out_or_misshapen_is_refused(host: AtmHost) -> None:
    for changed in (
        {"nonce": None},
        {"nonce": "short"},
        {"nonce": "x" * 129},
        {"expires": None},
        {"tag": None},
    ):
        assert await code_of(host, signed(host, **changed)) == "signature_invalid", changed


async def test_a_signature_made_for_something_else_is_refused(host: AtmHost) -> None:
    for tag in ("smartid-answer", "smartid", ""):
        assert await code_of(host, signed(host, tag=tag)) == "signature_invalid", tag


async def test_two_signatures_are_refused_though_one_is_right(host: AtmHost) -> None:
    request = signed(host)
    for field in ("signature", "signature-input"):
        value = request.headers[field]
        request.headers[field] = f"{value}, other={value.partition('=')[2]}"
    assert (await host._client.send(request)).json()["code"] == "signature_invalid"


async def test_a_covered_field_sent_twice_is_refused(host: AtmHost) -> None:
    for field in ("idempotency-key", "x-terminal-id", "content-digest", "signature"):
        request = signed(host)
        lines = [*request.headers.multi_items(), (field, "another")]
        doubled = httpx.Request("POST", request.url, headers=lines, content=b'{"amount":5}')
        answer = await host._client.send(doubled)
        assert answer.json()["code"] == "signature_invalid", field


async def test_an_unknown_or_retired_key_is_refused(host: AtmHost, resources: Resources) -> None:
    assert await code_of(host, signed(host, key_id="acleda-9")) == "signature_invalid"
    await resources.works.perform(SYSTEM, None, lambda work: machines.retire_key(work, "acleda-1"))
    assert await code_of(host, signed(host)) == "signature_invalid"


async def test_the_message_does_not_choose_the_algorithm(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    """The public key of an Ed25519 pair, used as an HMAC secret, signs nothing."""
    public = KEY.public_key().public_bytes_raw()
    host = AtmHost(
        client, keyid="acleda-1", key=public, terminal="ATM00001", clock=resources.clock.now
    )
    assert await code_of(host, signed(host)) == "signature_invalid"
    assert await code_of(host, signed(host, include_alg=True)) == "signature_invalid"


async def test_a_terminal_of_another_bank_or_of_none_is_refused(host: AtmHost) -> None:
    for terminal in ("WNG00001", "ATM99999", "x" * 17):
        host.terminal = terminal
        assert await code_of(host, signed(host)) == "terminal_unknown", terminal


GARBAGE: list[dict[str, str]] = [
    {},
    {"signature": "x", "signature-input": "y"},
    {"signature-input": 'a=("@method");keyid="acleda-1"'},
    {"signature": "a=:AAAA:", "signature-input": 'a=("@method");keyid="acleda-1"'},
    {"signature": "a=:AAAA:", "signature-input": "a=1;keyid=1"},
    {"signature": "(" * 5000, "signature-input": "(" * 5000},
    {"signature": "a=:AAAA:", "signature-input": 'a=();keyid="\\"'},
    {"authorization": "Bearer " + "a" * 43},
]


async def test_no_signature_or_garbage_is_refused_and_the_refusal_is_signed(
    client: httpx.AsyncClient,
) -> None:
    for headers in GARBAGE:
        answer = await client.post(PATH, json={"amount": 5}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid"), headers
        assert 'tag="smartid-answer"' in answer.headers["signature-input"]


async def test_at_the_atm_door_nothing_is_open_whatever_a_handler_says(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/v1/atm/open")).status_code == 401


async def test_after_redis_lost_its_nonces_a_replay_is_one_still(
    host: AtmHost, redis: "Redis", clock: TurnedClock
) -> None:
    request = signed(host)
    assert (await host.send(request)).status == 201
    await redis.flushall()
    assert await code_of(host, request) == "signature_replayed", "PostgreSQL remembers"
    clock.advance(timedelta(seconds=61))
    await redis.flushall()
    assert await code_of(host, request) == "signature_stale"


# our answers


async def test_a_changed_or_foreign_answer_is_not_believed(
    host: AtmHost, client: httpx.AsyncClient, resources: Resources
) -> None:
    request = signed(host)
    answer = await client.send(request)
    host._believe(request, answer)
    other_request = signed(host)
    with pytest.raises(AnswerForgedError):
        host._believe(other_request, answer)
    changed = httpx.Response(200, headers=answer.headers, content=answer.content)
    with pytest.raises(AnswerForgedError):
        host._believe(request, changed)
    changed = httpx.Response(201, headers=answer.headers, content=answer.content + b" ")
    with pytest.raises(AnswerForgedError):
        host._believe(request, changed)
    with pytest.raises(AnswerForgedError):
        host._believe(request, httpx.Response(201, content=answer.content))


async def test_a_declined_or_mistaken_request_is_answered_signed_too(host: AtmHost) -> None:
    request = host.signed("POST", PATH, b'{"amount":"5"}', key="key-1")
    answer = await host.send(request)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.body["fields"] == {"amount": "Expected `int`, got `str`"}


# tokens of staff


async def test_a_staff_token_opens_its_own_door_and_role(
    client: httpx.AsyncClient, desk: Desk, clock: TurnedClock
) -> None:
    tokens = {}
    for login in ("dara", "bopha"):
        await desk.enrol(login)
        tokens[login] = await desk.session(login)
    assert (await client.get("/v1/support/supervised", headers=tokens["bopha"])).status_code == 200
    refused = await client.get("/v1/support/supervised", headers=tokens["dara"])
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    current = await client.get("/v1/support/sessions/current", headers=tokens["dara"])
    assert current.json()["member"]["roles"] == ["agent"]
    await client.delete("/v1/support/sessions/current", headers=tokens["dara"])
    gone = await client.get("/v1/support/sessions/current", headers=tokens["dara"])
    assert gone.status_code == 401


NOBODY: list[str | None] = [
    None,
    "",
    "Bearer",
    "Bearer ",
    "Basic YTph",
    "bearer " + "a" * 43,
    "Bearer " + "a" * 42,
    "Bearer " + "a" * 43,
    "Bearer " + "é" * 43,
    "Bearer " + "a" * 43 + " a",
]


async def test_no_token_is_nobody(client: httpx.AsyncClient) -> None:
    for header in NOBODY:
        lines = [] if header is None else [(b"authorization", header.encode("latin-1"))]
        answer = await client.get("/v1/support/supervised", headers=lines)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), header
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_open_handler_that_asks_for_its_caller_is_handed_nobody(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/v1/support/careless")).status_code == 401


async def test_every_wrong_sign_in_is_answered_byte_for_byte_the_same(
    client: httpx.AsyncClient, desk: Desk
) -> None:
    await desk.enrol("dara")
    right = {"login": "dara", "passphrase": "the mekong turns around in november"}
    answers = [
        await client.post("/v1/support/sessions", json=body)
        for body in (
            right | {"totp": "000000"},
            right | {"totp": "abcdef"},
            right | {"totp": desk.code(), "passphrase": "wrong"},
            right | {"totp": desk.code(), "login": "nobody"},
        )
    ]
    answers.append(await client.post("/v1/support/sessions", json=right | {"totp": "1"}))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].status_code == 401
