"""The frame around every door: strict in, the same kind of refusal out, nothing of the inside."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any
from uuid import UUID

import httpx
import msgspec
import pytest
from litestar import Litestar, Router, get, post
from msgspec import Meta, Struct, field

from api.app import LooseBodyError, create_app
from api.problems import STATUSES, DeclinedProblem, problem_of
from api.resources import Resources
from api.sentences import ROOMS, SENTENCES
from api.wire import (
    Body,
    Cursor,
    Limit,
    MoneyIn,
    MoneyOut,
    Page,
    cursor_at,
    money_out,
    page_of,
    read_cursor,
)
from wallet.database import Database
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Reason, Refused

Dial = Callable[[Litestar], httpx.AsyncClient]


class Inner(Body, frozen=True, kw_only=True):
    count: Annotated[int, Meta(ge=1, le=10)]


class Wanted(Body, frozen=True, kw_only=True):
    money: MoneyIn
    inner: list[Inner] = field(default_factory=list)
    who: UUID | None = None


@post("/wanted", status_code=200)
async def wanted(data: Wanted, idempotency_key: str) -> dict[str, Any]:
    return {"minor": data.money.money.minor, "key": idempotency_key}


@get("/numbers")
async def numbers(limit: Limit = 3, cursor: Cursor = None) -> Page[int]:
    after = read_cursor(cursor, tuple[int, str]) or (0, "")
    found = [n for n in range(1, 8) if n > after[0]][: limit + 1]
    return page_of(found, limit, lambda n: (n, "x"))


@get("/money")
async def money() -> MoneyOut:
    return money_out(Money.usd(123_450))


@get("/refusal/{reason:str}")
async def refusal(reason: str) -> None:
    raise Refused(Reason(reason), retry_after_s=7, tries_left=3)


@get("/decline")
async def decline() -> None:
    raise DeclinedProblem(Declined(reason=Reason.INSUFFICIENT_FUNDS, facts={"asked": 5}))


@get("/defect")
async def defect() -> None:
    raise RuntimeError("select pin from holders: 123456 at /srv/secret/place.py")


@pytest.fixture
def door(resources: Resources, dialled: Dial) -> httpx.AsyncClient:
    handlers = [wanted, numbers, money, refusal, decline, defect]
    return dialled(create_app(resources, [Router("/t", route_handlers=handlers)]))


RIGHT = {"money": {"amount_minor": 5, "currency": "KHR"}}
KEY = {"idempotency-key": "k-1"}


def told(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem in the answer, after what holds of every problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == f"urn:smartid:problem:{code}"
    assert problem["detail"]["en"]
    assert problem["detail"]["km"]
    assert isinstance(problem["retryable"], bool)
    for name in ("content-security-policy", "strict-transport-security", "x-frame-options"):
        assert name in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    return problem


async def test_no_such_address_and_no_such_method_are_problems_too(
    door: httpx.AsyncClient,
) -> None:
    for path in ("/", "/nothing", "/t", "/t/nothing", "/docs/nothing", "/openapi.yaml", "/schema"):
        told(await door.get(path), 404, "not_found")
    told(await door.delete("/t/money"), 405, "method_not_allowed")


MISSHAPEN: list[tuple[Any, str]] = [
    (RIGHT | {"tip": 1}, "body"),
    ({"money": RIGHT["money"] | {"tip": 1}}, "money"),
    (RIGHT | {"inner": [{"count": 1, "tip": 1}]}, "inner[0]"),
    ({"money": {"amount_minor": "5", "currency": "KHR"}}, "money.amount_minor"),
    ({"money": {"amount_minor": 5.5, "currency": "KHR"}}, "money.amount_minor"),
    ({"money": {"amount_minor": True, "currency": "KHR"}}, "money.amount_minor"),
    ({"money": {"amount_minor": 0, "currency": "KHR"}}, "money.amount_minor"),
    ({"money": {"amount_minor": 2**63, "currency": "KHR"}}, "money.amount_minor"),
    ({"money": {"amount_minor": 5, "currency": "THB"}}, "money.currency"),
    ({"money": {"amount_minor": 5}}, "money"),
    (RIGHT | {"inner": [{"count": 11}]}, "inner[0].count"),
    (RIGHT | {"who": "somebody"}, "who"),
    ([RIGHT], "body"),
    (None, "body"),
]


async def test_a_body_not_exactly_of_its_type_is_refused_naming_the_field(
    door: httpx.AsyncClient,
) -> None:
    for body, named in MISSHAPEN:
        answer = await door.post("/t/wanted", content=msgspec.json.encode(body), headers=KEY)
        problem = told(answer, 400, "invalid_request")
        assert set(problem["fields"]) == {named}, body


async def test_what_is_not_json_is_refused(door: httpx.AsyncClient) -> None:
    digits = b'{"money":{"amount_minor":' + b"9" * 60_000 + b',"currency":"KHR"}}'
    for body in (b"{", b"", b"\xff\xfe", b"[" * 30_000, b"NaN", b'{"a":' * 10_000, digits):
        answer = await door.post("/t/wanted", content=body, headers=KEY)
        told(answer, 400, "invalid_request")


async def test_a_right_body_goes_in(door: httpx.AsyncClient) -> None:
    answer = await door.post("/t/wanted", json=RIGHT, headers=KEY)
    assert answer.json() == {"minor": 5, "key": "k-1"}


async def test_a_body_above_64_kib_is_refused_also_without_a_length(
    door: httpx.AsyncClient,
) -> None:
    told(await door.post("/t/wanted", content=b" " * 65_537, headers=KEY), 413, "too_large")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b" " * 1024

    told(await door.post("/t/wanted", content=pieces(), headers=KEY), 413, "too_large")


async def test_a_write_without_a_good_key_is_refused(door: httpx.AsyncClient) -> None:
    told(await door.post("/t/wanted", json=RIGHT), 400, "idempotency_key_missing")
    for key in (b"", b" ", b"x" * 256, "clé".encode(), b"a\tb"):
        answer = await door.post("/t/wanted", json=RIGHT, headers={b"idempotency-key": key})
        told(answer, 400, "idempotency_key_invalid")
    answer = await door.post("/t/wanted", json=RIGHT, headers={"idempotency-key": "x" * 255})
    assert answer.status_code == 200


async def test_parameters_are_checked_and_named(door: httpx.AsyncClient) -> None:
    for value in ("0", "101", "a", "-1", "1.5"):
        problem = told(await door.get(f"/t/numbers?limit={value}"), 400, "invalid_request")
        assert set(problem["fields"]) == {"limit"}


async def test_pages_follow_each_other_to_the_end(door: httpx.AsyncClient) -> None:
    seen: list[int] = []
    cursor = ""
    for _ in range(3):
        page = (await door.get(f"/t/numbers{cursor}")).json()
        seen += page["items"]
        cursor = f"?cursor={page['next']}"
    assert seen == list(range(1, 8))
    assert page["next"] is None


async def test_a_cursor_not_of_ours_is_refused(door: httpx.AsyncClient) -> None:
    other = cursor_at(("a", 1))
    for cursor in ("x", "%00", "////", other, "é", "A" * 500, cursor_at((1,))):
        told(await door.get("/t/numbers", params={"cursor": cursor}), 400, "cursor_invalid")


async def test_money_goes_out_whole_with_its_display(door: httpx.AsyncClient) -> None:
    assert (await door.get("/t/money")).json() == {
        "amount_minor": 123_450,
        "currency": "USD",
        "display": "1,234.50 USD",
    }


async def test_a_refusal_says_when_to_come_back(door: httpx.AsyncClient) -> None:
    answer = await door.get("/t/refusal/busy")
    problem = told(answer, 503, "busy")
    assert answer.headers["retry-after"] == "7"
    assert problem["retryable"]
    assert "declined" not in problem
    wrong = told(await door.get("/t/refusal/otp_wrong"), 403, "otp_wrong")
    assert "3 tries" in wrong["detail"]["en"]


async def test_a_decline_says_that_it_was_recorded(door: httpx.AsyncClient) -> None:
    problem = told(await door.get("/t/decline"), 402, "insufficient_funds")
    assert problem["declined"] is True
    assert problem["facts"] == {"asked": 5}


async def test_a_defect_tells_nothing_of_the_inside(door: httpx.AsyncClient) -> None:
    answer = await door.get("/t/defect")
    told(answer, 500, "internal")
    for inside in ("select", "123456", "/srv", "RuntimeError", "Traceback", "litestar"):
        assert inside not in answer.text
    assert "server" not in answer.headers


def test_a_door_whose_body_would_drop_unknown_fields_does_not_start(resources: Resources) -> None:
    class Loose(Struct):
        name: str

    class Around(Body, frozen=True, kw_only=True):
        loose: list[Loose] | None = None

    @post("/loose")
    async def loose(data: Around) -> None: ...

    with pytest.raises(LooseBodyError, match="Loose"):
        create_app(resources, [Router("/t", route_handlers=[loose], signature_types=[Around])])


# health


async def test_ready_follows_the_database_and_names_redis(
    door: httpx.AsyncClient, database: Database, resources: Resources
) -> None:
    assert (await door.get("/health/live")).json() == {"status": "alive"}
    ready = await door.get("/health/ready")
    assert ready.json() == {"status": "ready", "database": "up", "redis": "up"}
    await database.close()
    down = await door.get("/health/ready")
    assert (down.status_code, down.json()["database"]) == (503, "down")


async def test_metrics_are_counted_by_route_and_not_by_address(door: httpx.AsyncClient) -> None:
    await door.get("/t/refusal/busy")
    text = (await door.get("/metrics")).text
    assert "smartid_requests_total" in text
    assert "refusal/busy" not in text
    assert 'path="/t/refusal/{reason}"' in text


# the description


async def test_the_docs_page_loads_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"(https?:)?//", page.text)
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(linked) == 4
    for address in linked:
        part = await client.get(address)
        assert part.status_code == 200, address
        assert len(part.content) > 100
        if address.endswith((".css", "start.js")):
            assert not re.search(r"@import|url\((?!['\"]?data:)", part.text), address
    told(await client.get("/docs/assets/swagger-editor-bundle.js"), 404, "not_found")
    told(await client.get("/docs/assets/..%2F__init__.py"), 404, "not_found")


async def test_the_document_is_complete(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert document["servers"]
    assert set(document["components"]["securitySchemes"]) == {"holder", "staff", "atm", "machine"}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            where = f"{method} {path}"
            assert operation["tags"], where
            assert operation["summary"], where
            if path.startswith("/v1/"):
                assert "401" in operation["responses"], where
                stranger = (method.upper(), re.sub(r"\{[^}]+\}", "{id}", path)) in OPEN
                assert (operation["security"] == []) == stranger, where
            for body in (operation.get("requestBody", {}), *operation["responses"].values()):
                for content in body.get("content", {}).values():
                    assert {"example", "examples"} & content.keys(), where
    for reference in re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', str(document)):
        assert reference in document["components"]["schemas"]


OPEN = {
    ("POST", "/v1/mobile/pairings"),
    ("GET", "/v1/mobile/pairings/{id}"),
    ("POST", "/v1/mobile/pairings/{id}/complete"),
    ("POST", "/v1/mobile/login-challenges"),
    ("POST", "/v1/mobile/sessions"),
    ("POST", "/v1/agency/sessions"),
    ("POST", "/v1/admin/sessions"),
    ("POST", "/v1/bank/sessions"),
    ("POST", "/v1/support/sessions"),
    ("POST", "/v1/callbacks/operators"),
}
"""What a stranger may ask: to sign in, and to begin pairing a phone."""

SOME = {
    "uuid": "019bb000-0000-7000-8000-000000000000",
    "int": "1",
    "str": "x",
    "date": "2026-01-12",
}


async def test_every_route_but_those_named_here_is_shut_to_strangers(
    resources: Resources, dialled: Dial
) -> None:
    app = create_app(resources)
    stranger = dialled(app)
    found_open = set()
    for route in app.routes:
        address = re.sub(r"\{[a-z_]+:([a-z]+)\}", lambda kind: SOME[kind.group(1)], route.path)
        for method in getattr(route, "methods", set()) - {"OPTIONS", "HEAD"}:
            if not address.startswith("/v1/"):
                continue
            answer = await stranger.request(method, address)
            if answer.status_code != 401:
                found_open.add((method, re.sub(r"\{[^}]+\}", "{id}", route.path)))
    assert found_open <= OPEN


# the tables


def test_every_reason_has_a_status_and_words_in_both_languages() -> None:
    assert set(STATUSES) == set(Reason)
    assert set(SENTENCES) == set(Reason)
    assert sum(map(len, ROOMS)) == len(SENTENCES)
    for reason in Reason:
        problem = problem_of(reason)
        assert 400 <= problem.status < 600, reason
        assert re.search("[ក-៿]", problem.detail.km), reason
        assert re.fullmatch("[ -~–—’…]+", problem.detail.en), reason


def test_what_may_be_sent_again_is_said_to_be() -> None:
    for reason in Reason:
        if STATUSES[reason] in (429, 500, 503):
            assert reason.retryable, reason


def test_no_two_reasons_share_their_words() -> None:
    for place in (0, 1):
        words = [sentences[place] for sentences in SENTENCES.values()]
        assert len(set(words)) == len(words)


def test_a_money_body_keeps_its_currency() -> None:
    wanted = MoneyIn(amount_minor=5, currency="USD")
    assert wanted.money == Money(5, Currency.USD)
