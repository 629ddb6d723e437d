"""The operators' adapter: whatever comes over the wire has a meaning, and doubt is always doubt."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from runtime.operators import HttpOperators
from simulators.server import Answer as Reply
from simulators.server import Call, Route, Server, Silence
from simulators.telco import Telco
from simulators.telco_books import Books
from wallet.money import Money
from wallet.topups.numbers import Msisdn
from wallet.topups.operators import (
    AlreadyUsed,
    Answer,
    Delivered,
    Failure,
    NotDelivered,
    NotFound,
    Open,
    Owner,
    TakenBack,
    Unknown,
)

NUMBER = Msisdn("+85512345600")


class Provider:
    """A provider that answers everything with one prepared reply."""

    def __init__(self) -> None:
        self.reply: Reply | Silence = Silence()
        paths = ("/v1/async/transactions", "/v1/transactions", "/v1/products")
        self.server = Server(
            [
                Route(method=method, path=path, handler=self._answer)
                for path in (*paths, "/v1/lookup/mobile-number/{number}")
                for method in ("GET", "POST")
            ]
        )

    async def _answer(self, call: Call) -> Reply | Silence:
        return self.reply

    def says(self, body: object, status: int = 200) -> None:
        self.reply = Reply(body=body, status=status)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    async with provider.server:
        yield provider


@pytest.fixture
async def adapter(provider: Provider) -> AsyncIterator[HttpOperators]:
    adapter = HttpOperators(provider.server.url, answer_s=0.2)
    yield adapter
    await adapter.close()


def _transaction(status: object, ref: str = "r1") -> dict[str, Any]:
    return {"id": 7, "external_id": ref, "status": {"id": status, "message": "?"}}


def _errors(*codes: int) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": "no"} for code in codes]}


async def _submit(adapter: HttpOperators) -> Answer:
    return await adapter.submit("r1", "CELLCARD-AIRTIME", NUMBER, Money.usd(125))


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (1, Open(provider_ref="7")),
        (2, Open(provider_ref="7")),
        (5, Open(provider_ref="7")),
        (7, Delivered(provider_ref="7")),
        (8, TakenBack(provider_ref="7")),
        (3, NotDelivered(failure=Failure.DECLINED)),
        (4, NotDelivered(failure=Failure.DECLINED)),
        (9, NotDelivered(failure=Failure.DECLINED)),
        (6, Unknown()),
        (0, Unknown()),
        ("7", Unknown()),
        (None, Unknown()),
    ],
)
async def test_a_status_means_the_same_submitted_and_looked_up(
    provider: Provider, adapter: HttpOperators, status: object, meaning: Answer
) -> None:
    provider.says(_transaction(status), 201)
    assert await _submit(adapter) == meaning
    provider.says([_transaction(status)])
    assert await adapter.get_by_ref("r1") == meaning


@pytest.mark.parametrize(
    ("body", "status", "meaning"),
    [
        (_errors(1007001), 400, AlreadyUsed()),
        (_errors(1003001), 400, NotDelivered(failure=Failure.PRODUCT_UNAVAILABLE)),
        (_errors(1003002), 400, NotDelivered(failure=Failure.PRODUCT_UNAVAILABLE)),
        (_errors(1005003), 400, NotDelivered(failure=Failure.NUMBER_INVALID)),
        (_errors(1006001), 400, NotDelivered(failure=Failure.FLOAT_EMPTY)),
        (_errors(1000429), 429, NotDelivered(failure=Failure.OPERATOR_BUSY)),
        (_errors(1006001, 1007001), 400, AlreadyUsed()),
        (_errors(1006001, 1000000), 400, Unknown()),
        (_errors(1009999), 400, Unknown()),
        (_errors(1006001), 500, Unknown()),
        (_errors(1005003), 503, Unknown()),
        (_errors(), 400, Unknown()),
        ({}, 401, Unknown()),
        (b"<html>Bad gateway</html>", 502, Unknown()),
        (b"<html>Welcome to the hotel's wireless</html>", 200, Unknown()),
        (b"", 201, Unknown()),
        (_transaction(7, ref="somebody else's"), 201, Unknown()),
        ({"id": 7, "status": {"id": 7}}, 201, Unknown()),
        (_transaction(7), 302, Unknown()),
    ],
)
async def test_a_submission_is_failed_only_by_a_plain_no(
    provider: Provider, adapter: HttpOperators, body: object, status: int, meaning: Answer
) -> None:
    provider.says(body, status)
    assert await _submit(adapter) == meaning


@pytest.mark.parametrize(
    ("body", "status", "meaning"),
    [
        ([], 200, NotFound()),
        ([], 404, Unknown()),
        ({}, 200, Unknown()),
        (_errors(1003001), 400, Unknown()),
        ([_transaction(7), _transaction(9)], 200, Unknown()),
        ([_transaction(7, ref="another")], 200, Unknown()),
        (b"[]garbage", 200, Unknown()),
        ([], 500, Unknown()),
    ],
)
async def test_only_an_empty_list_says_not_found(
    provider: Provider, adapter: HttpOperators, body: object, status: int, meaning: Answer
) -> None:
    provider.says(body, status)
    assert await adapter.get_by_ref("r1") == meaning


async def test_silence_and_a_provider_that_is_gone_are_unknown(
    provider: Provider, adapter: HttpOperators
) -> None:
    asked: list[Callable[[], Any]] = [
        lambda: _submit(adapter),
        lambda: adapter.get_by_ref("r1"),
        lambda: adapter.lookup(NUMBER),
        lambda: adapter.products("SMART"),
    ]
    assert [await ask() for ask in asked] == [Unknown()] * 4
    await provider.server.stop()
    assert [await ask() for ask in asked] == [Unknown()] * 4


@pytest.mark.parametrize(
    ("body", "status", "meaning"),
    [
        ([{"id": "SMART", "identified": True}], 200, Owner(operator="SMART")),
        ([{"id": "SMART", "identified": False}], 200, Unknown()),
        ([{"id": "A", "identified": True}, {"id": "B", "identified": True}], 200, Unknown()),
        ([], 200, Unknown()),
        (_errors(1005003), 404, NotFound()),
        ({}, 404, Unknown()),
    ],
)
async def test_a_look_up_names_one_operator_or_none(
    provider: Provider, adapter: HttpOperators, body: object, status: int, meaning: object
) -> None:
    provider.says(body, status)
    assert await adapter.lookup(NUMBER) == meaning


async def test_the_simulator_sells_what_the_adapter_asks_for() -> None:
    async with Telco(Books()) as telco:
        adapter = HttpOperators(telco.url)
        assert await adapter.products("CELLCARD") == ["CELLCARD-AIRTIME"]
        assert await _submit(adapter) == Delivered(provider_ref="1")
        assert await _submit(adapter) == AlreadyUsed()
        assert await adapter.get_by_ref("r1") == Delivered(provider_ref="1")
        await adapter.close()
    assert telco.books.calls("r1") == 2
    assert len(telco.books.deliveries("r1")) == 1
