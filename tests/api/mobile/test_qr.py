"""Decoding a scanned code at the phones' door: behind a session, strict, and in clear words."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import pytest
from litestar.testing import AsyncTestClient

from api.app import create_app
from api.resources import Resources
from tests.desk import lone_throttle
from tests.wallet.qr_steps import code_of
from wallet.access.sessions import HolderSession
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import BankId, DeviceId, HolderId, new_id
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.work import Works

DECODE = "/v1/mobile/qr/decode"
SIGNED_IN = {"authorization": f"Bearer {'a' * 43}"}


class _KnowsEverybody:
    """Stands in for sessions, which have tests of their own."""

    def __init__(self, clock: TurnedClock) -> None:
        self._clock = clock

    def last_seen(self, token: str) -> HolderId | None:
        return None

    async def of(self, token: str, *, reading: bool = False) -> HolderSession:
        return HolderSession(
            token_hash=bytes(32),
            holder_id=HolderId(new_id()),
            device_id=DeviceId(new_id()),
            bank=BankId("ACLEDA"),
            language="km",
            last_seen_at=self._clock.now(),
            expires_at=self._clock.now() + timedelta(minutes=5),
            cooling=False,
        )


@pytest.fixture
async def phone(
    database: Database, works: Works, teller: Teller, clock: TurnedClock, vault: Vault
) -> AsyncIterator[AsyncTestClient[Any]]:
    nothing = cast(Any, None)
    app = create_app(
        Resources(
            database=database,
            redis=nothing,
            works=works,
            teller=teller,
            clock=clock,
            vault=vault,
            throttle=lone_throttle(),
        )
    )
    app.state.recognition = _KnowsEverybody(clock)
    async with AsyncTestClient(app) as client:
        yield client


async def test_a_scanned_code_is_shown_and_every_refusal_has_its_words(
    phone: AsyncTestClient[Any], clock: TurnedClock
) -> None:
    code = code_of(clock, bill="INV-7")
    answer = await phone.post(DECODE, json={"code": code}, headers=SIGNED_IN)
    assert answer.status_code == 200
    shown = answer.json()
    assert shown["amount"] == {
        "amount_minor": 15_000,
        "currency": "KHR",
        "display": "១៥,០០០ រៀល",
    }
    assert (shown["payee_name"], shown["name_source"]) == ("Lucky Market", "code")
    assert (shown["dynamic"], shown["bill"]) == (True, "INV-7")

    static = await phone.post(DECODE, json={"code": code_of(clock, amount=None)}, headers=SIGNED_IN)
    assert (static.json()["dynamic"], static.json()["amount"]) == (False, None)

    nonsense = await phone.post(DECODE, json={"code": code + "\n"}, headers=SIGNED_IN)
    assert (nonsense.status_code, nonsense.json()["code"]) == (422, "qr_invalid")
    assert nonsense.headers["content-type"] == "application/problem+json"

    clock.advance(timedelta(minutes=11))
    expired = await phone.post(DECODE, json={"code": code}, headers=SIGNED_IN)
    assert (expired.status_code, expired.json()["code"]) == (410, "qr_expired")

    loose = await phone.post(DECODE, json={"code": code, "x": 1}, headers=SIGNED_IN)
    assert loose.status_code == 400
    assert (await phone.post(DECODE, json={"code": code})).status_code == 401
