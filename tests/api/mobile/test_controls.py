"""A card's controls at the phones' door: what was set, what is left, and whose."""

from collections.abc import Callable

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from tests.api.signed_in import SignedIn
from tests.wallet.cards.counter import Counter
from tests.wallet.controls.steps import Buy, buy, put_bank, put_card, put_holder
from wallet.cards.rules import CardRules
from wallet.clock import TurnedClock
from wallet.controls import ControlSheet, Mccs, Spend
from wallet.limits import Per, Window
from wallet.money import Currency, Money
from wallet.vault import Vault
from wallet.work import Works

KHR = Currency.KHR


@pytest.fixture
def app(resources: Resources) -> Litestar:
    return create_app(resources)


async def test_the_app_shows_what_was_set_and_what_every_rule_leaves(
    app: Litestar,
    works: Works,
    vault: Vault,
    clock: TurnedClock,
    dialled: Callable[[Litestar], httpx.AsyncClient],
) -> None:
    client, signed_in = dialled(app), SignedIn(app, clock)
    counter = Counter(works, vault, clock, CardRules())
    mine, other = await counter.person(khr=1_000_000), await counter.person(khr=1_000_000)
    card_id = await counter.card(mine, "KHR")
    address = f"/v1/mobile/cards/{card_id}/controls"
    headers = signed_in.headers(mine.holder)

    bare = (await client.get(address, headers=headers)).json()
    assert bare == {"card": None, "holder": None, "left": []}

    day = Spend(window=Window.DAY, currency=KHR, most_minor=1_000, most_count=3)
    await put_card(works, card_id, ControlSheet(spend=(day,), mccs=Mccs(deny=("7995",))))
    month = Spend(window=Window.MONTH, currency=KHR, most_minor=0)
    await put_holder(works, other.holder.id, ControlSheet(spend=(month,)))
    await put_bank(works, ControlSheet(
        spend=(Spend(window=Window.MONTH, currency=KHR, most_minor=5_000, per=Per.HOLDER),),
        mccs=Mccs(deny=("6051",)),
    ))  # fmt: skip
    await buy(works, Buy(holder=mine.holder, card_id=card_id, money=Money.khr(400)))

    shown = (await client.get(address, headers=headers)).json()
    assert shown["card"]["sheet"]["mccs"]["deny"] == ["7995"]
    assert (shown["card"]["version"], shown["card"]["state"]) == (1, "LIVE")
    assert shown["holder"] is None
    assert "6051" not in str(shown)  # what the bank watches for stays the bank's
    left = [
        (one["set_by"], one["window"], one["left_minor"], one["left_count"])
        for one in shown["left"]
    ]
    assert left == [("bank", "month", 4_600, None), ("card", "day", 600, 2)]
    of_all = (await client.get("/v1/mobile/controls", headers=headers)).json()
    assert [(one["set_by"], one["left_minor"]) for one in of_all["left"]] == [("bank", 4_600)]
    past = (await client.get(f"{address}/versions", headers=headers)).json()
    assert [one["version"] for one in past["items"]] == [1]

    for path in ("", "/versions"):
        theirs = await client.get(address + path, headers=signed_in.headers(other.holder))
        assert (theirs.status_code, theirs.json()["code"]) == (404, "not_found")
