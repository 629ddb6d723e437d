"""Receipts at the phones' door: one's own, when sealed, and as they verify."""

from collections.abc import Callable

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from tests import world
from tests.api.signed_in import SignedIn
from tests.wallet.seals.sealed import KEYS, pay, seal_all
from wallet.clock import TurnedClock
from wallet.identifiers import new_id
from wallet.money import Money
from wallet.seals import receipt
from wallet.work import Works


@pytest.fixture
def app(resources: Resources) -> Litestar:
    return create_app(resources)


@pytest.fixture
def signed_in(app: Litestar, clock: TurnedClock) -> SignedIn:
    return SignedIn(app, clock)


async def test_an_entry_becomes_a_receipt_that_verifies_and_only_for_its_holder(
    app: Litestar,
    signed_in: SignedIn,
    works: Works,
    dialled: Callable[[Litestar], httpx.AsyncClient],
) -> None:
    client = dialled(app)
    mine, other = await world.holder(works), await world.holder(works)
    elsewhere = await world.holder(works, bank="WING")
    await pay(works, 5)
    transfer = await world.fund(works, "ACLEDA", mine.khr, Money.khr(7_000))
    address = f"/v1/mobile/entries/{transfer}/receipt"
    headers = signed_in.headers(mine)

    early = await client.get(address, headers=headers)
    assert (early.status_code, early.json()["code"]) == (409, "not_yet_sealed")
    assert early.json()["retryable"]
    assert early.headers["retry-after"] == "2"

    await seal_all(works)
    told = await client.get(address, headers=headers)
    assert told.status_code == 200
    assert told.json()["receipt"]["entry"]["amount_minor"] == 7_000
    # Kept as it came, it is a receipt; so is what the code says.
    receipt.verify(receipt.read(told.content), KEYS)
    drawn = await client.get(f"{address}/qr", headers=headers)
    assert drawn.json()["qr_text"] == told.json()["qr_text"]
    assert drawn.json()["qr_png"].startswith("data:image/png;base64,")
    receipt.verify(receipt.read(drawn.json()["qr_text"].encode()), KEYS)

    for path in (address, f"{address}/qr"):
        for stranger in (other, elsewhere):
            refused = await client.get(path, headers=signed_in.headers(stranger))
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
        assert (await client.get(path)).status_code == 401
    unknown = await client.get(f"/v1/mobile/entries/{new_id()}/receipt", headers=headers)
    assert unknown.status_code == 404
    garbage = await client.get("/v1/mobile/entries/x/receipt", headers=headers)
    assert garbage.status_code in (400, 404)
