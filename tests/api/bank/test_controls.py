"""A bank's card controls through its door: drafted, in shadow, promoted by two, brought back."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests import world
from tests.api.bank.test_terms import CHECKER, MAKER, STRANGER, Door, refusal
from tests.desk import Desk
from tests.wallet.controls.steps import Buy, buy, later, said
from wallet.clock import TurnedClock
from wallet.identifiers import CardId, new_id
from wallet.money import Money
from wallet.work import Works

NO_GAMBLING: dict[str, Any] = {"sheet": {"mccs": {"deny": ["7995"]}}}
NOTHING_GROCER: dict[str, Any] = {"sheet": {"mccs": {"deny": ["5411"]}}}
HUNDRED: dict[str, Any] = {
    "sheet": {"spend": [{"window": "day", "currency": "KHR", "most_minor": 100}]}
}


class Room(Door):
    """The door's part that is about controls; each signs in once."""

    def __init__(self, client: httpx.AsyncClient, desk: Desk, clock: TurnedClock) -> None:
        super().__init__(client, desk, clock)
        self.signed_in: dict[str, dict[str, str]] = {}

    async def headers(self, login: str) -> dict[str, str]:
        if login not in self.signed_in:
            self.signed_in[login] = await super().headers(login)
        return {**self.signed_in[login], "idempotency-key": str(new_id())}

    async def post(self, login: str, path: str = "", body: Any = None) -> httpx.Response:
        headers = await self.headers(login)
        return await self.client.post(f"/v1/bank/controls{path}", headers=headers, json=body)

    async def get(self, login: str, path: str = "") -> Any:
        answer = await self.client.get(
            f"/v1/bank/controls{path}", headers=await self.headers(login)
        )
        return answer.json() if answer.status_code == 200 else refusal(answer)

    async def drafted(self, body: Any, *steps: str) -> str:
        answer = await self.post(MAKER, body=body)
        assert answer.status_code == 201, answer.text
        version: str = answer.json()["id"]
        for step in steps:
            done = await self.post(MAKER, f"/{version}/{step}")
            assert done.status_code == 200, done.text
        return version

    async def promote(self, login: str, version: str, code: str | None = None) -> httpx.Response:
        headers = await self.headers(login)
        self.clock.advance(timedelta(seconds=30))  # a time code is good once
        body = {"totp": code or self.desk.code()}
        path = f"/v1/bank/controls/{version}/promote"
        return await self.client.post(path, headers=headers, json=body)


@pytest.fixture
async def room(client: httpx.AsyncClient, desk: Desk, clock: TurnedClock) -> Room:
    for login in (MAKER, CHECKER, STRANGER):
        await desk.enrol(login)
    return Room(client, desk, clock)


@pytest.fixture
async def one(works: Works, room: Room) -> Buy:
    holder = await world.holder(works, khr=1_000_000)
    return Buy(holder=holder, card_id=CardId(new_id()), money=Money.khr(100))


async def test_a_version_is_drafted_tried_in_shadow_and_promoted_by_a_second_person(
    room: Room, works: Works, one: Buy
) -> None:
    version = await room.drafted(NOTHING_GROCER)
    assert refusal(await room.post(MAKER, f"/{version}/promotion")) == (409, "illegal_transition")
    assert said(await buy(works, one)) == ["held"]
    room.clock.advance(timedelta(seconds=1))

    assert (await room.post(MAKER, f"/{version}/shadow")).json()["state"] == "SHADOW"
    assert said(await buy(works, later(one))) == ["held"]
    told = await room.get(CHECKER, f"/{version}/shadow")
    assert told["purchases"] == 1
    assert told["would_decline"] == [
        {"reason": "mcc_not_allowed", "rule": "mcc_deny", "currency": "KHR", "purchases": 1,
         "cards": 1, "amount_minor": 100}
    ]  # fmt: skip
    history = await room.get(CHECKER, f"/{version}/history?days=7")
    assert (history["purchases"], history["would_decline"][0]["purchases"]) == (2, 2)
    assert str(one.holder.id) not in str((told, history))

    assert refusal(await room.promote(CHECKER, version))[1] == "not_found"  # nobody asked
    assert (await room.post(MAKER, f"/{version}/promotion")).status_code == 200
    assert refusal(await room.promote(MAKER, version))[0] == 403
    assert refusal(await room.promote(STRANGER, version)) == (404, "not_found")
    assert refusal(await room.promote(CHECKER, version, "000000"))[1] == "otp_wrong"
    assert said(await buy(works, later(one))) == ["held"]

    promoted = await room.promote(CHECKER, version)
    assert (promoted.status_code, promoted.json()["state"]) == (200, "LIVE"), promoted.text
    assert said(await buy(works, later(one))) == ["mcc_not_allowed"]
    assert refusal(await room.promote(CHECKER, version)) == (409, "illegal_transition")


async def test_what_was_in_force_is_brought_back_by_two_people_without_a_shadow(
    room: Room, works: Works, one: Buy
) -> None:
    for body in (HUNDRED, NOTHING_GROCER):
        version = await room.drafted(body, "shadow", "promotion")
        assert (await room.promote(CHECKER, version)).status_code == 200
    assert said(await buy(works, one)) == ["mcc_not_allowed"]
    assert refusal(await room.post(MAKER, "/versions/2/bring-back")) == (409, "illegal_transition")
    assert refusal(await room.post(MAKER, "/versions/9/bring-back")) == (404, "not_found")
    back = (await room.post(MAKER, "/versions/1/bring-back")).json()
    assert (back["version"], back["state"], back["copied_from"]) == (3, "DRAFT", 1)
    assert refusal(await room.promote(MAKER, back["id"]))[0] == 403
    assert (await room.promote(CHECKER, back["id"])).json()["state"] == "LIVE"
    assert said(await buy(works, later(one), later(one))) == ["held", "limit_exceeded"]
    states = [(v["version"], v["state"]) for v in (await room.get(MAKER))["items"]]
    assert states == [(3, "LIVE"), (2, "PAST"), (1, "PAST")]


async def test_one_version_at_a_time_is_in_shadow_and_withdrawn_it_makes_room(room: Room) -> None:
    first = await room.drafted(NO_GAMBLING, "shadow")
    second = await room.drafted(HUNDRED)
    assert refusal(await room.post(MAKER, f"/{second}/shadow")) == (409, "conflict")
    assert (await room.post(MAKER, f"/{first}/withdraw")).json()["state"] == "WITHDRAWN"
    assert (await room.post(MAKER, f"/{second}/shadow")).json()["state"] == "SHADOW"
    for step in ("shadow", "promotion", "withdraw"):
        assert refusal(await room.post(MAKER, f"/{first}/{step}")) == (409, "illegal_transition")


async def test_what_was_withdrawn_after_it_was_asked_for_is_not_promoted(room: Room) -> None:
    version = await room.drafted(NO_GAMBLING, "shadow", "promotion", "withdraw")
    assert refusal(await room.promote(CHECKER, version)) == (409, "illegal_transition")


async def test_another_banks_versions_are_unknown_and_only_a_maker_drafts(room: Room) -> None:
    version = await room.drafted(NO_GAMBLING, "shadow")
    assert (await room.get(STRANGER))["items"] == []
    assert await room.get(STRANGER, f"/{version}/shadow") == (404, "not_found")
    assert await room.get(STRANGER, f"/{version}/history") == (404, "not_found")
    assert refusal(await room.post(CHECKER, body=NO_GAMBLING)) == (403, "forbidden")
    draft = await room.drafted(HUNDRED)
    assert await room.get(MAKER, f"/{draft}/shadow") == (409, "illegal_transition")


NONSENSE: list[Any] = [
    {"mccs": {"deny": ["75"]}},
    {"mccs": {"deny": ["7999-7990"]}},
    {"countries": {"allow": ["kh"]}},
    {"channels": {"allow": ["pigeon"]}},
    {"spend": [{"window": "week", "currency": "KHR", "most_minor": 1}]},
    {"spend": [{"window": "day", "currency": "KHR", "most_minor": -1}]},
    {"spend": [{"window": "payment", "currency": "KHR", "most_count": 2}]},
    {"hours": [{"days": [8], "begin": "09:00", "end": "10:00"}]},
    {"hours": [{"days": [1], "begin": "25:00", "end": "10:00"}]},
    {"hours": [{"days": [1], "begin": "09:00", "end": "09:00"}]},
    {"merchants": {"deny": ["X"] * 201}},
    {"surprise": 1},
]


async def test_a_sheet_that_makes_no_sense_is_refused_and_nothing_is_drafted(room: Room) -> None:
    headers = await room.headers(MAKER)
    for place, sheet in enumerate(NONSENSE):
        keyed = {**headers, "idempotency-key": f"nonsense-{place}"}
        answer = await room.client.post("/v1/bank/controls", headers=keyed, json={"sheet": sheet})
        assert refusal(answer) == (400, "invalid_request"), sheet
    assert (await room.get(MAKER))["items"] == []
