"""Masked until there is a reason: cases, broken glass, and the holder's own feed."""

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from runtime.handlers import handlers
from runtime.worker import JobRunner
from tests.api.support.office import NUMBER, Office, told
from tests.behind import rows_of_all_banks
from wallet import audit, topups
from wallet.access.sending import Channels
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import HolderId, new_id
from wallet.work import SYSTEM

WHY = "Call back about the case, as the holder asked."
EMERGENCY = "Hospital asks for the family of a holder found unconscious."


async def unmask(office: Office, login: str = "dara", **body: Any) -> Any:
    holder_id = body.pop("holder_id", office.counter.holder.id)
    return await office.post(login, f"/people/{holder_id}/unmask", {"reason": WHY, **body})


async def looks(office: Office) -> list[Any]:
    holder_id = HolderId(office.counter.holder.id)
    found = await office.counter.works.read(
        SYSTEM, None, lambda work: audit.looks_at(work.rows, holder_id, limit=50)
    )
    return list(found)


async def opened(office: Office, login: str = "dara") -> str:
    answer = await office.post(login, "/emergency-access", {"reason": EMERGENCY})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["emergency_id"])


async def test_a_number_is_shown_for_an_open_case_and_the_holder_reads_of_it(
    office: Office,
) -> None:
    case = await office.case_of(500_000)
    shown = await unmask(office, case_number=case["case_number"].lower())
    assert (shown.status_code, shown.json()["phone"]) == (200, NUMBER)
    [look] = await looks(office)
    dara = office.counter.desk.people["dara"].id
    assert (look["act"], look["seen"], look["case_number"], look["reason"]) == (
        "holder.unmask",
        "phone",
        case["case_number"],
        WHY,
    )
    assert (look["actor_kind"], look["actor_id"]) == ("support", str(dara))


async def test_without_a_case_of_that_very_holder_nothing_is_shown(office: Office) -> None:
    assert told(await unmask(office)) == (403, "case_required")
    assert told(await unmask(office, case_number="D-2026-999999")) == (404, "not_found")
    assert told(await unmask(office, holder_id=new_id())) == (404, "not_found")
    assert told(await unmask(office, reason="short")) == (400, "invalid_request")
    case = await office.case_of(20_000)
    closed = await office.post("dara", f"/disputes/{case['dispute_id']}/close", {"why": "denied"})
    assert closed.status_code == 200, closed.text
    assert told(await unmask(office, case_number=case["case_number"])) == (409, "dispute_closed")
    assert not await looks(office)


async def test_broken_glass_shows_for_a_quarter_of_an_hour_and_the_holder_is_told(
    office: Office, clock: TurnedClock, database: Database
) -> None:
    emergency_id = await opened(office)
    shown = await unmask(office)
    assert shown.json()["phone"] == NUMBER
    [look] = await looks(office)
    assert look["case_number"] is None
    assert EMERGENCY in look["reason"]
    [event] = await rows_of_all_banks(
        database, "select * from events where kind = 'security.notice'"
    )
    assert event["body"]["what"] == "emergency_look"
    assert event["bank"] == office.counter.holder.bank
    again = await office.post("dara", "/emergency-access", {"reason": EMERGENCY})
    assert told(again) == (409, "conflict")
    other = await unmask(office, "bopha")
    assert told(other) == (403, "case_required"), "the glass was broken by dara alone"
    clock.advance(timedelta(minutes=15))
    await office.sign_in("dara")
    assert told(await unmask(office)) == (403, "case_required")
    assert emergency_id


async def test_an_alarm_rings_at_once_and_every_hour_until_another_has_reviewed_it(
    office: Office,
    clock: TurnedClock,
    database: Database,
    caplog: pytest.LogCaptureFixture,
    resources: Any,
) -> None:
    runner = JobRunner(
        database, clock, handlers(resources, None, Channels(sms=None), topups.Patience(grace_s=60))
    )

    async def rung() -> int:
        caplog.clear()
        await runner.step()
        await runner.settle()
        found = [one for one in caplog.records if one.name == "smartid.alarm"]
        assert all(one.levelno == logging.CRITICAL for one in found)
        assert not any(EMERGENCY in one.getMessage() for one in found), "the reason stays inside"
        return len(found)

    emergency_id = await opened(office)
    assert any(one.name == "smartid.alarm" for one in caplog.records), "the process it came to"
    metrics = (await office.client.get("/metrics")).text
    assert "smartid_emergency_access_total" in metrics
    assert await rung() == 1
    assert await rung() == 0
    clock.advance(timedelta(hours=1, seconds=1))
    assert await rung() == 1
    await office.sign_in("bopha")
    waiting = (await office.get("bopha", "/emergency-access")).json()
    assert [one["id"] for one in waiting] == [emergency_id]
    path = f"/emergency-access/{emergency_id}/review"
    verdict = {"justified": False, "note": "A case was open."}
    assert (await office.post("bopha", path, verdict)).status_code == 200
    assert told(await office.post("bopha", path, verdict)) == (409, "illegal_transition")
    assert (await office.get("bopha", "/emergency-access")).json() == []
    clock.advance(timedelta(hours=1, seconds=1))
    assert await rung() == 0
    acts = [
        (row["act"], row["reason"])
        for row in await rows_of_all_banks(
            database, "select * from audit where act ~ '^emergency' order by seq"
        )
    ]
    assert acts == [
        ("emergency.open", EMERGENCY),
        ("emergency.review", "not justified: A case was open."),
    ]


async def test_nobody_reviews_their_own_and_an_agent_reviews_none(office: Office) -> None:
    own = await opened(office, "bopha")
    verdict = {"justified": True, "note": "I say so myself."}
    refused = await office.post("bopha", f"/emergency-access/{own}/review", verdict)
    assert told(refused) == (403, "four_eyes")
    refused = await office.post("dara", f"/emergency-access/{own}/review", verdict)
    assert told(refused) == (403, "forbidden")
    unknown = await office.post("bopha", f"/emergency-access/{new_id()}/review", verdict)
    assert told(unknown) == (404, "not_found")
    assert told(await office.post("dara", "/emergency-access", {"reason": "quick"})) == (
        400,
        "invalid_request",
    )


async def test_two_at_once_break_the_glass_once(office: Office) -> None:
    import asyncio

    answers = await asyncio.gather(
        *(office.post("dara", "/emergency-access", {"reason": EMERGENCY}) for _ in range(5))
    )
    assert sorted(one.status_code for one in answers) == [201, 409, 409, 409, 409]


async def test_every_look_at_a_person_stands_in_their_feed_with_what_was_seen(
    office: Office,
) -> None:
    case = await office.case_of(500_000)
    await office.search("dara", office.counter.holder.staff_no)
    await office.get("dara", f"/disputes/{case['dispute_id']}")
    found = await looks(office)
    assert [one["act"] for one in found] == ["dispute.view", "support.found"]
    assert found[0]["case_number"] == case["case_number"]
    assert "staff_no" in found[1]["seen"]
    assert "transaction" in found[0]["seen"]
    assert UUID(found[0]["actor_id"]) == office.counter.desk.people["dara"].id
