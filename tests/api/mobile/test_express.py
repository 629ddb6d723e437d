"""Requests past the middle of the framework are answered as the framework answers them."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from api.app import Application, create_app
from api.resources import Resources
from api.wire import LARGEST_BODY
from tests.api.signed_in import SignedIn
from tests.world import people
from wallet.identifiers import new_id

JSON = {"content-type": "application/json"}
SOME_ID = "0198f0a0-0000-7000-8000-000000000001"

ODD_REQUESTS: dict[str, tuple[str, bytes]] = {
    "no body": ("/v1/mobile/intents", b""),
    "no JSON": ("/v1/mobile/intents", b"{"),
    "no UTF-8": ("/v1/mobile/intents", b'{"kind":"\xff"}'),
    "deep JSON": ("/v1/mobile/intents", b"[" * 20_000),
    "an unknown field": ("/v1/mobile/intents", b'{"kind":"qr.pay","colour":"red"}'),
    "a number for a text": ("/v1/mobile/intents", b'{"kind":7}'),
    "an unknown kind": ("/v1/mobile/intents", b'{"kind":"gold.buy"}'),
    "a field the kind does not know": (
        "/v1/mobile/intents",
        b'{"kind":"qr.pay","fields":{"code":"x","colour":"red"}}',
    ),
    "a code that is none": (
        "/v1/mobile/intents",
        b'{"kind":"qr.pay","fields":{"code":"000201"}}',
    ),
    "a longer body than any": ("/v1/mobile/intents", b'{"kind":"' + b"x" * LARGEST_BODY + b'"}'),
    "an intent that is not there": (
        f"/v1/mobile/intents/{SOME_ID}/authorise",
        msgspec.json.encode({"signature": "A" * 86, "kind": "qr.pay"}),
    ),
    "a kind to be looked up": (
        f"/v1/mobile/intents/{SOME_ID}/authorise",
        msgspec.json.encode({"signature": "A" * 86}),
    ),
    "a signature in another spelling": (
        f"/v1/mobile/intents/{SOME_ID}/authorise",
        b'{"signature":"A=","kind":"qr.pay"}',
    ),
    "a code of letters": (
        f"/v1/mobile/intents/{SOME_ID}/authorise",
        msgspec.json.encode({"signature": "A" * 86, "kind": "qr.pay", "otp": "12a456"}),
    ),
    "an id in capitals": (
        f"/v1/mobile/intents/{SOME_ID.upper()}/authorise",
        msgspec.json.encode({"signature": "A" * 86, "kind": "qr.pay"}),
    ),
    "an id that is none": ("/v1/mobile/intents/7/authorise", b"{}"),
    "a query": ("/v1/mobile/intents?x=1", b'{"kind":"gold.buy"}'),
}


@pytest.fixture
def app(resources: Resources) -> Application:
    created = create_app(resources)
    assert isinstance(created, Application)
    assert created.express is not None
    return created


@pytest.fixture
async def token(app: Application, resources: Resources) -> str:
    holder = (await people(resources.works, 1))[0]
    return SignedIn(app, resources.clock).headers(holder)["authorization"].removeprefix("Bearer ")


@pytest.fixture
def both_ways(
    app: Application, dialled: Callable[[Litestar], httpx.AsyncClient]
) -> Callable[..., Any]:
    """Asks the same twice: as served, and with nothing going past the framework."""
    client, express = dialled(app), app.express

    async def ask(method: str, path: str, **more: Any) -> tuple[httpx.Response, httpx.Response]:
        short = await client.request(method, path, **more)
        app.express = None
        try:
            return short, await client.request(method, path, **more)
        finally:
            app.express = express

    return ask


def assert_alike(short: httpx.Response, long: httpx.Response) -> None:
    assert short.status_code == long.status_code
    assert short.content == long.content
    assert sorted(short.headers.multi_items()) == sorted(long.headers.multi_items())


@pytest.mark.parametrize("name", ODD_REQUESTS)
async def test_an_odd_request_is_answered_alike(
    both_ways: Callable[..., Any], token: str, name: str
) -> None:
    path, body = ODD_REQUESTS[name]
    headers = {**JSON, "authorization": f"Bearer {token}"}
    short, long = await both_ways("POST", path, content=body, headers=headers)
    assert_alike(short, long)
    assert 400 <= short.status_code < 500, short.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer short"},
        {"authorization": f"Basic {'x' * 43}"},
        {"authorization": f"Bearer {'x' * 43}"},
    ],
)
async def test_nobody_is_turned_away_alike(
    both_ways: Callable[..., Any], headers: dict[str, str]
) -> None:
    for path in ("/v1/mobile/intents", f"/v1/mobile/intents/{SOME_ID}/authorise"):
        short, long = await both_ways("POST", path, content=b"{}", headers={**JSON, **headers})
        assert_alike(short, long)
        assert short.status_code == 401
        assert short.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_another_method_is_the_frameworks_to_answer(
    both_ways: Callable[..., Any], method: str
) -> None:
    short, long = await both_ways(method, "/v1/mobile/intents")
    assert_alike(short, long)


async def test_a_defect_tells_nothing_of_the_inside(
    both_ways: Callable[..., Any],
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    resources: Resources,
) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError("the inside")

    monkeypatch.setattr(type(resources.teller), "ask", broken)
    body = b'{"kind":"qr.pay","fields":{"code":"x"}}'
    headers = {**JSON, "authorization": f"Bearer {token}"}
    short, long = await both_ways("POST", "/v1/mobile/intents", content=body, headers=headers)
    assert_alike(short, long)
    assert short.status_code == 500
    assert "inside" not in short.text


async def test_both_ways_are_counted_under_the_same_labels(
    app: Application, both_ways: Callable[..., Any], dialled: Callable[[Litestar], Any], token: str
) -> None:
    async def counted() -> dict[str, float]:
        text = (await dialled(app).get("/metrics")).text
        found = re.findall(r"^(smartid_requests_total\{.*intents.*\}) ([0-9.]+)$", text, re.M)
        return {labels: float(value) for labels, value in found}

    headers = {**JSON, "authorization": f"Bearer {token}"}
    missing = f"/v1/mobile/intents/{new_id()}/authorise"
    before = await counted()
    await both_ways("POST", "/v1/mobile/intents", content=b"{}", headers=headers)
    await both_ways(
        "POST", missing, content=b'{"signature":"AAAA","kind":"qr.pay"}', headers=headers
    )
    after = await counted()
    grown = {labels: value - before.get(labels, 0) for labels, value in after.items()}
    assert sorted(value for value in grown.values() if value) == [2.0, 2.0], grown
