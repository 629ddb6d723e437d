"""Ids of a thousand characters, and other things that are no ids, at every door that takes one."""

import re
from collections.abc import Callable

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from tests import world
from tests.api.signed_in import SignedIn
from wallet.clock import TurnedClock
from wallet.work import Works

NO_IDS = [
    "x" * 1000,
    "9" * 1000,
    "%00",
    "0' or 1=1",
    "019bb000-0000-7000-8000-00000000000g",
    "%E1%9E%80",
]


@pytest.mark.parametrize("no_id", NO_IDS, ids=lambda text: text[:12])
async def test_what_is_no_id_is_told_so_and_nothing_breaks(
    no_id: str,
    resources: Resources,
    works: Works,
    clock: TurnedClock,
    dialled: Callable[[Litestar], httpx.AsyncClient],
) -> None:
    """FINERACT-2485 answered a 1,000-character key with a 403 about something else (P9)."""
    app = create_app(resources)
    signed_in = SignedIn(app, clock)
    headers = signed_in.headers(await world.holder(works))
    phone = dialled(app)
    asked = 0
    for route in app.routes:
        address = re.sub(r"\{[a-z_]+:[a-z]+\}", no_id, route.path)
        if address == route.path or not address.startswith("/v1/mobile/"):
            continue
        for method in getattr(route, "methods", set()) - {"OPTIONS", "HEAD"}:
            answer = await phone.request(
                method, address, headers={**headers, "idempotency-key": "a-key"}, json={}
            )
            assert 400 <= answer.status_code < 500, (method, address[:60], answer.status_code)
            assert answer.json()["code"], (method, address[:60])
            asked += 1
    assert asked >= 8


@pytest.mark.parametrize("key", ["k" * 256, "k" * 1000, "ក", ""], ids=["256", "1000", "km", "none"])
async def test_fineract_2485_a_key_too_long_is_told_so(
    key: str,
    resources: Resources,
    works: Works,
    clock: TurnedClock,
    dialled: Callable[[Litestar], httpx.AsyncClient],
) -> None:
    app = create_app(resources)
    headers = SignedIn(app, clock).headers(await world.holder(works))
    raw = {name.encode(): value.encode() for name, value in headers.items()}
    raw[b"idempotency-key"] = key.encode()
    answer = await dialled(app).post("/v1/mobile/smart-id/freeze", headers=raw, json={})
    assert answer.status_code == 400
    assert answer.json()["code"] in ("idempotency_key_invalid", "idempotency_key_missing")
