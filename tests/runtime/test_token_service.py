"""The token service's adapter: what comes over the wire has a meaning, doubt is always doubt."""

from collections.abc import AsyncIterator
from datetime import date

import pytest
from msgspec.structs import replace

from runtime.token_service import HttpTokenService
from simulators.server import Answer, Call, Route, Server, Silence
from simulators.token_service import TokenBooks, TokenServer
from wallet.cards.token_service import Known, NotKnown, Order, TokenState, TurnedDown, Unknown
from wallet.identifiers import Secret, new_id

REF = new_id()
ORDER = Order(
    ref=REF,
    version=1,
    state=TokenState.ACTIVE,
    wallet="apple",
    last_four="4242",
    expires_on=date(2028, 1, 31),
    number=Secret("9116011000004242"),
)
KEPT = {"ref": str(REF), "version": 1, "state": "ACTIVE", "token_ref": "TKN1"}


class Provider:
    """A service that answers everything with one prepared reply."""

    def __init__(self) -> None:
        self.reply: Answer | Silence = Silence()
        self.server = Server(
            [
                Route(method=method, path="/v1/tokens/{ref}", handler=self._answer)
                for method in ("PUT", "GET")
            ]
        )

    async def _answer(self, call: Call) -> Answer | Silence:
        return self.reply


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    async with provider.server:
        yield provider


@pytest.fixture
async def service(provider: Provider) -> AsyncIterator[HttpTokenService]:
    service = HttpTokenService(provider.server.url, answer_s=0.3)
    yield service
    await service.close()


@pytest.mark.parametrize(
    "reply",
    [
        Silence(),
        Answer(status=500, body={}),
        Answer(status=302, body={}, headers={"location": "http://127.0.0.1:1/"}),
        Answer(status=404, body={"error": "no_such_path"}),
        Answer(status=409, body={"error": "something else"}),
        Answer(body=b"<html>", content_type="text/html"),
        Answer(body={**KEPT, "ref": str(new_id())}),
        Answer(body={**KEPT, "state": "FINE"}),
        Answer(body={**KEPT, "version": "1"}),
        Answer(body={}),
    ],
)
async def test_what_is_not_understood_in_every_part_is_doubt(
    provider: Provider, service: HttpTokenService, reply: Answer | Silence
) -> None:
    provider.reply = reply
    assert await service.order(ORDER) == Unknown()
    assert await service.look_up(REF) == Unknown()


async def test_a_plain_answer_is_believed(provider: Provider, service: HttpTokenService) -> None:
    provider.reply = Answer(body=KEPT)
    known = Known(state=TokenState.ACTIVE, version=1, provider_ref="TKN1")
    assert await service.order(ORDER) == known
    assert await service.look_up(REF) == known
    provider.reply = Answer(status=409, body={"error": "turned_down"})
    assert await service.order(ORDER) == TurnedDown()
    provider.reply = Answer(status=404, body={"error": "no_such_token"})
    assert await service.look_up(REF) == NotKnown()


async def test_nobody_there_is_doubt(service: HttpTokenService, provider: Provider) -> None:
    await provider.server.stop()
    assert await service.order(ORDER) == Unknown()
    assert await service.look_up(REF) == Unknown()


async def test_the_simulator_turns_a_card_down_and_forgets_no_token_over_a_restart(
    tmp_path: object,
) -> None:
    books = TokenBooks(f"{tmp_path}/books")
    async with TokenServer(books) as server:
        service = HttpTokenService(server.url)
        refused = replace(ORDER, number=Secret("9116011000000000"), ref=new_id())
        assert await service.order(refused) == TurnedDown()
        assert isinstance(await service.order(ORDER), Known)
        await service.close()
    books.close()
    again = TokenBooks(f"{tmp_path}/books")
    kept = again.find(str(REF))
    assert kept is not None
    assert (kept.state, kept.last_four, len(again.every())) == ("ACTIVE", "4242", 1)
    again.close()
