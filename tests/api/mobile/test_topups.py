"""Top-ups at the phones' door: what is sold, and the holder's own, masked."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.mobile import topups
from api.resources import Resources
from api.security import holder_door
from tests import world
from tests.desk import lone_throttle
from tests.wallet.topups.shop import Shop, number, opened
from wallet.access.sessions import HolderSession
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import DeviceId, HolderId, new_id
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.work import Works

SIGNED_IN = {"authorization": f"Bearer {'a' * 43}"}


class _KnowsOne:
    """Stands in for sessions, which have tests of their own: every token is this holder's."""

    def __init__(self, clock: TurnedClock, holder: world.WorldHolder) -> None:
        self._clock = clock
        self.holder = holder

    def last_seen(self, token: str) -> HolderId | None:
        return None

    async def of(self, token: str, *, reading: bool = False) -> HolderSession:
        return HolderSession(
            token_hash=bytes(32),
            holder_id=HolderId(self.holder.id),
            device_id=DeviceId(new_id()),
            bank=self.holder.bank,
            language="en",
            last_seen_at=self._clock.now(),
            expires_at=self._clock.now() + timedelta(minutes=5),
            cooling=False,
        )


@pytest.fixture
async def shop(
    database: Database, works: Works, teller: Teller, clock: TurnedClock
) -> AsyncIterator[Shop]:
    async with opened(database, works, teller, clock) as shop:
        yield shop


@pytest.fixture
def sessions(shop: Shop) -> _KnowsOne:
    return _KnowsOne(shop.clock, shop.holder)


@pytest.fixture
def phone(
    shop: Shop,
    vault: Vault,
    sessions: _KnowsOne,
    dialled: Callable[[Litestar], httpx.AsyncClient],
) -> httpx.AsyncClient:
    nothing = cast(Any, None)
    app = create_app(
        Resources(
            database=shop.database,
            redis=nothing,
            works=shop.works,
            teller=shop.teller,
            clock=shop.clock,
            vault=vault,
            throttle=lone_throttle(),
        ),
        [holder_door("/v1/mobile", topups.HANDLERS)],
    )
    app.state.recognition = sessions
    client = dialled(app)
    client.headers.update(SIGNED_IN)
    return client


async def _get(phone: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await phone.get(f"/v1/mobile{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_top_up_is_shown_masked_with_what_it_cost_and_gave(
    phone: httpx.AsyncClient, shop: Shop
) -> None:
    topup_id = await shop.buy(number(0))
    await shop.work_off()
    shown = await _get(phone, f"/topups/{topup_id}")
    assert (shown["state"], shown["phone"]) == ("SUCCEEDED", "012 ••• 600")
    assert shown["price"]["display"] == "5,000 KHR"
    assert shown["delivered"] == {"amount_minor": 125, "currency": "USD", "display": "1.25 USD"}
    assert "345" not in str(shown)


async def test_top_ups_are_paged_newest_first_and_end(phone: httpx.AsyncClient, shop: Shop) -> None:
    bought = [await shop.buy(number(n)) for n in range(5)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = await _get(phone, "/topups", **query)
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == [str(one) for one in reversed(bought)]


async def test_another_holders_top_up_is_as_good_as_none(
    phone: httpx.AsyncClient, shop: Shop, sessions: _KnowsOne
) -> None:
    topup_id = await shop.buy(number(0))
    sessions.holder = await world.holder(shop.works)
    assert (await phone.get(f"/v1/mobile/topups/{topup_id}")).status_code == 404
    assert (await phone.get(f"/v1/mobile/topups/{new_id()}")).status_code == 404
    assert (await _get(phone, "/topups"))["items"] == []


async def test_an_empty_float_is_not_the_holders_business(
    phone: httpx.AsyncClient, shop: Shop
) -> None:
    topup_id = await shop.buy(number(88))
    await shop.work_off()
    shown = await _get(phone, f"/topups/{topup_id}")
    assert (shown["state"], shown["reason"]) == ("FAILED", "operator_busy")


async def test_products_tell_price_airtime_and_prefixes(phone: httpx.AsyncClient) -> None:
    page = await _get(phone, "/topup-products", operator="SMART")
    fixed, dollars = page["items"][0], page["items"][-1]
    assert [one["code"] for one in page["items"]] == [
        "SMART-KHR-10000",
        "SMART-KHR-20000",
        "SMART-KHR-5000",
        "SMART-USD",
    ]
    assert fixed["buttons"][0]["delivered"]["display"] == "2.50 USD"
    assert [b["price"]["amount_minor"] for b in dollars["buttons"]][:3] == [100, 200, 500]
    assert "010" in fixed["operator"]["prefixes"]


async def test_all_products_come_once_each_over_pages(phone: httpx.AsyncClient) -> None:
    first = await _get(phone, "/topup-products", limit=10)
    second = await _get(phone, "/topup-products", limit=10, cursor=first["next"])
    codes = [one["code"] for one in first["items"] + second["items"]]
    assert len(codes) == len(set(codes)) == 16
    assert second["next"] is None
    assert (await _get(phone, "/topup-products", operator="NOBODY"))["items"] == []


@pytest.mark.parametrize("path", ["/topups", "/topup-products"])
async def test_a_broken_cursor_is_refused(phone: httpx.AsyncClient, path: str) -> None:
    for cursor in ("nonsense!", "gaE", "wA"):
        answer = await phone.get(f"/v1/mobile{path}", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid")
