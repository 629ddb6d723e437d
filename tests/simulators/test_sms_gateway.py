"""The SMS gateway keeps each message once and shows it to the phone it went to."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from simulators.sms_gateway import Messages, SmsGateway

HELLO = {"to": "+85512345600", "text": "សួស្តី", "ref": "n-1"}


@pytest.fixture
async def gateway() -> AsyncIterator[SmsGateway]:
    async with SmsGateway(Messages()) as server:
        yield server


async def test_a_message_reaches_the_phone_it_was_sent_to(gateway: SmsGateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        posted = await client.post("/messages", json=HELLO)
        await client.post("/messages", json={**HELLO, "to": "+85512345601", "ref": "n-2"})
        heard = await client.get("/messages", params={"to": HELLO["to"]})
    assert posted.status_code == 201
    assert [m["text"] for m in heard.json()["messages"]] == ["សួស្តី"]


async def test_a_repeated_ref_is_kept_once_and_another_text_under_it_is_refused(
    gateway: SmsGateway,
) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        answers = [await client.post("/messages", json=HELLO) for _ in range(3)]
        other = await client.post("/messages", json={**HELLO, "text": "else"})
    assert [a.status_code for a in answers] == [201, 200, 200]
    assert len({a.json()["id"] for a in answers}) == 1
    assert other.status_code == 409
    assert len(gateway.messages.to()) == 1


async def test_a_phone_that_polls_sees_only_what_is_new(gateway: SmsGateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        first = (await client.post("/messages", json=HELLO)).json()
        await client.post("/messages", json={**HELLO, "ref": "n-2", "text": "two"})
        new = await client.get("/messages", params={"to": HELLO["to"], "after": first["id"]})
        wrong = await client.get("/messages", params={"after": "១"})
    assert [m["text"] for m in new.json()["messages"]] == ["two"]
    assert wrong.status_code == 400


@pytest.mark.parametrize("wrong", [{"to": "012345600"}, {"text": ""}, {"extra": 1}])
async def test_a_bad_message_is_refused_and_not_kept(
    gateway: SmsGateway, wrong: dict[str, object]
) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        assert (await client.post("/messages", json={**HELLO, **wrong})).status_code == 400
    assert gateway.messages.to() == []


async def test_messages_survive_a_restart_of_the_gateway(tmp_path: Path) -> None:
    file = tmp_path / "sms.sqlite"
    for text in ("first", "first"):
        messages = Messages(file)
        async with SmsGateway(messages) as server, httpx.AsyncClient() as client:
            await client.post(f"{server.url}/messages", json={**HELLO, "text": text})
        assert [m.text for m in messages.to()] == ["first"]
        messages.close()
