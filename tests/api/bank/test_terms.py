"""Limits, fees and rates through the banks' door: proposed by one clerk, approved by another."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.desk import Desk
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, new_id
from wallet.terms import Sort, establish
from wallet.work import SYSTEM, Work, Works

RATE: dict[str, Any] = {"sheet": {"mid_hundredths": 420_050, "spread_bps": 30}}
LIMITS: dict[str, Any] = {
    "sheet": {"rules": [{"window": "day", "currency": "KHR", "most_minor": 0}]}
}
FEES: dict[str, Any] = {
    "sheet": {"lines": [{"function": "qr_payment", "currency": "KHR", "fee_minor": 700}]}
}


MAKER, CHECKER, STRANGER = "maker.acleda", "checker.acleda", "checker.wing"


class Door:
    """The banks' door, and who stands at it: signed in once, for as long as a session lasts."""

    def __init__(self, client: httpx.AsyncClient, desk: Desk, clock: TurnedClock) -> None:
        self.client, self.desk, self.clock = client, desk, clock

    async def headers(self, login: str) -> dict[str, str]:
        self.clock.advance(timedelta(seconds=30))  # a time code is good once
        token = (await self.desk.sign_in(login)).token.reveal()
        return {"authorization": f"Bearer {token}", "idempotency-key": str(new_id())}

    async def propose(self, login: str, sort: str, body: Any) -> httpx.Response:
        headers = await self.headers(login)
        return await self.client.post(f"/v1/bank/{sort}", headers=headers, json=body)

    async def approve(self, login: str, sheet_id: str, code: str | None = None) -> httpx.Response:
        headers = await self.headers(login)
        self.clock.advance(timedelta(seconds=30))
        return await self.client.post(
            f"/v1/bank/terms/{sheet_id}/approve",
            headers=headers,
            json={"totp": code or self.desk.code()},
        )

    async def shown(self, login: str, sort: str) -> Any:
        answer = await self.client.get(f"/v1/bank/{sort}", headers=await self.headers(login))
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def door(client: httpx.AsyncClient, desk: Desk, works: Works, clock: TurnedClock) -> Door:
    for login in (MAKER, CHECKER, STRANGER):
        await desk.enrol(login)

    async def first(work: Work) -> None:
        await establish(work, Sort.RATES, {"mid_hundredths": 410_000, "spread_bps": 50})

    for bank in ("ACLEDA", "WING"):
        await works.perform(SYSTEM, BankId(bank), first)
    return Door(client, desk, clock)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_one_clerk_proposes_a_rate_another_approves_and_it_holds_a_minute_later(
    door: Door,
) -> None:
    first = (await door.shown(MAKER, "rates"))["sheets"]
    assert [one["sheet"]["mid_hundredths"] for one in first] == [410_000]

    proposed = await door.propose(MAKER, "rates", RATE)
    assert proposed.status_code == 201, proposed.text
    sheet = proposed.json()
    assert (sheet["state"], sheet["effective_from"]) == ("WAITING", None)

    assert refusal(await door.approve(MAKER, sheet["id"])) == (403, "four_eyes")
    assert refusal(await door.approve(STRANGER, sheet["id"])) == (404, "not_found")
    wrong = await door.approve(CHECKER, sheet["id"], "000000")
    assert refusal(wrong)[1] == "otp_wrong"

    approved = await door.approve(CHECKER, sheet["id"])
    assert approved.status_code == 200, approved.text
    moment = (door.clock.now() + timedelta(seconds=60)).isoformat().replace("+00:00", "Z")
    assert (approved.json()["state"], approved.json()["effective_from"]) == ("APPROVED", moment)
    assert refusal(await door.approve(CHECKER, sheet["id"])) == (409, "illegal_transition")

    door.clock.advance(timedelta(seconds=60))
    (in_force,) = (await door.shown(CHECKER, "rates"))["sheets"]
    assert in_force["sheet"] == RATE["sheet"]
    assert (await door.shown(STRANGER, "rates"))["sheets"][0]["sheet"] != RATE["sheet"]


async def test_a_rate_typed_wrongly_is_refused_before_two_people_can_overlook_it(
    door: Door,
) -> None:
    for mid in (42_005, 4_200_500, 368_999, 451_001):
        body = {"sheet": {"mid_hundredths": mid, "spread_bps": 30}}
        answer = await door.propose(MAKER, "rates", body)
        assert refusal(answer)[1] in ("amount_out_of_range", "invalid_request")
    assert len((await door.shown(MAKER, "rates"))["sheets"]) == 1


async def test_limits_and_fees_are_set_the_same_way_and_shown_with_what_holds_otherwise(
    door: Door,
) -> None:
    for sort, body in (("limits", LIMITS), ("fees", FEES)):
        before = await door.shown(MAKER, sort)
        assert before["sheets"] == []
        assert before["otherwise"]
        proposed = await door.propose(MAKER, sort, body)
        assert proposed.status_code == (409 if sort == "limits" else 201), proposed.text
        if sort == "limits":
            # the programme counts exchanges by day: to stop counting them begins at midnight
            assert proposed.json()["code"] == "conflict"
            body = {**body, "effective_from": "2026-01-13T00:00:00+07:00"}
            proposed = await door.propose(MAKER, sort, body)
            assert proposed.status_code == 201, proposed.text
        approved = await door.approve(CHECKER, proposed.json()["id"])
        assert approved.status_code == 200, approved.text
        (shown,) = (await door.shown(MAKER, sort))["sheets"]
        assert shown["state"] == "APPROVED"


async def test_sheets_follow_one_another_in_the_order_of_their_moments(door: Door) -> None:
    later = {**RATE, "effective_from": "2026-02-01T00:00:00+07:00"}
    sheet = (await door.propose(MAKER, "rates", later)).json()
    assert (await door.approve(CHECKER, sheet["id"])).status_code == 200
    sooner = (await door.propose(MAKER, "rates", RATE)).json()
    assert refusal(await door.approve(CHECKER, sooner["id"])) == (409, "conflict")
    past = {**RATE, "effective_from": "2026-01-01T00:00:00+07:00"}
    assert refusal(await door.propose(MAKER, "rates", past)) == (409, "conflict")


async def test_a_proposal_waits_a_day_and_no_longer(door: Door) -> None:
    sheet = (await door.propose(MAKER, "rates", RATE)).json()
    door.clock.advance(timedelta(hours=24))
    answer = await door.approve(CHECKER, sheet["id"])
    assert refusal(answer)[1] == "approval_expired"
    assert len((await door.shown(MAKER, "rates"))["sheets"]) == 1


NONSENSE: list[tuple[str, dict[str, Any]]] = [
    ("limits", {"rules": [{"window": "day", "currency": "KHR", "most_minor": -1}]}),
    ("limits", {"rules": [{"window": "week", "currency": "KHR", "most_minor": 1}]}),
    ("limits", {"rules": [{"window": "day", "currency": "EUR", "most_minor": 1}]}),
    ("limits", {"rules": [{"window": "payment", "currency": "KHR", "most_count": 3}]}),
    ("limits", {"rules": [{"window": "lifetime", "currency": "KHR", "most_minor": 1}]}),
    ("limits", {"rules": [], "riel_per_dollar": 0}),
    ("fees", {"lines": [{"function": "card", "currency": "USD", "fee_minor": 1.5}]}),
    ("fees", {"lines": [{"function": "card", "currency": "USD"}]}),
    ("rates", {"mid_hundredths": "420050", "spread_bps": 30}),
    ("rates", {"mid_hundredths": 420_050, "spread_bps": 501}),
]


async def test_a_sheet_that_makes_no_sense_is_refused_and_nothing_waits(door: Door) -> None:
    headers = await door.headers(MAKER)
    for place, (sort, sheet) in enumerate(NONSENSE):
        keyed = {**headers, "idempotency-key": f"nonsense-{place}"}
        body = {"sheet": sheet}
        answer = await door.client.post(f"/v1/bank/{sort}", headers=keyed, json=body)
        assert refusal(answer) == (400, "invalid_request"), sheet
    for sort in ("limits", "fees", "rates"):
        shown = (await door.shown(MAKER, sort))["sheets"]
        assert [one for one in shown if one["state"] == "WAITING"] == []


async def test_only_a_maker_proposes(door: Door) -> None:
    assert refusal(await door.propose(CHECKER, "rates", RATE)) == (403, "forbidden")


async def test_the_same_key_proposes_once(door: Door) -> None:
    headers = {**await door.headers(MAKER), "idempotency-key": "rate-of-today"}
    first, again = [
        await door.client.post("/v1/bank/rates", headers=headers, json=RATE) for _ in range(2)
    ]
    assert first.json() == again.json()
    waiting = (await door.shown(MAKER, "rates"))["sheets"]
    assert [one["state"] for one in waiting] == ["WAITING", "APPROVED"]
