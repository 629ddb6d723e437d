"""The teller serves callers in groups; nobody pays for a neighbour; the queue has an end."""

import asyncio
from collections.abc import Sequence

import pytest

from wallet.database import Database
from wallet.identifiers import BankId
from wallet.outcomes import Done, GroupAnswer, Reason, Refused
from wallet.teller import Lane, Teller
from wallet.work import Work, Works

BANK = BankId("ACLEDA")
groups: list[int] = []


async def _note_all(work: Work, requests: Sequence[str]) -> Sequence[GroupAnswer]:
    groups.append(len(requests))
    answers: list[GroupAnswer] = []
    for request in requests:
        if request == "break the group":
            raise ZeroDivisionError
        if request == "refuse the group":
            raise Refused(Reason.CONFLICT)
        if request == "refused":
            answers.append(Refused(Reason.NOT_FOUND))
            continue
        work.note("asked", request)
        answers.append(Done(answer={"said": request}))
    return answers


LANE: Lane[str] = Lane("note", _note_all)


async def test_callers_meanwhile_share_one_transaction(teller: Teller, database: Database) -> None:
    groups.clear()
    answers = await asyncio.gather(*(teller.ask(LANE, BANK, str(i)) for i in range(100)))
    assert [a.answer["said"] for a in answers if isinstance(a, Done)] == [
        str(i) for i in range(100)
    ]
    assert len(groups) < 5
    xids = await database.rows("select distinct xid from audit")
    assert len(xids) == len(groups)


@pytest.mark.parametrize(
    ("poison", "reason"),
    [("break the group", Reason.INTERNAL), ("refuse the group", Reason.CONFLICT)],
)
async def test_a_member_that_fails_does_not_fail_its_neighbours(
    teller: Teller, database: Database, poison: str, reason: Reason
) -> None:
    requests = ["a", poison, "b", "refused", "c"]
    answers = await asyncio.gather(
        *(teller.ask(LANE, BANK, request) for request in requests), return_exceptions=True
    )
    assert [isinstance(answer, Done) for answer in answers] == [True, False, True, False, True]
    assert isinstance(answers[1], Refused)
    assert answers[1].reason is reason
    rows = await database.rows("select subject from audit order by seq")
    assert [row["subject"] for row in rows] == ["a", "b", "c"]


async def test_a_full_queue_says_busy_and_has_begun_nothing(
    works: Works, database: Database
) -> None:
    teller = Teller(works, queue_most=10)
    answers = await asyncio.gather(
        *(teller.ask(LANE, BANK, str(i)) for i in range(50)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert refused
    assert {answer.reason for answer in refused} == {Reason.BUSY}
    assert len(await database.rows("select 1 from audit")) == 50 - len(refused)


async def test_a_caller_that_goes_away_does_not_stop_its_group(
    teller: Teller, database: Database
) -> None:
    gone = asyncio.create_task(teller.ask(LANE, BANK, "gone"))
    stays = asyncio.create_task(teller.ask(LANE, BANK, "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    assert isinstance(await stays, Done)
    assert len(await database.rows("select 1 from audit")) == 2


async def test_closing_answers_those_waiting_and_takes_nobody_new(works: Works) -> None:
    teller = Teller(works)
    waiting = [asyncio.create_task(teller.ask(LANE, BANK, str(i))) for i in range(5)]
    await asyncio.sleep(0)
    await teller.close()
    assert all(isinstance(answer, Done) for answer in await asyncio.gather(*waiting))
    with pytest.raises(Refused):
        await teller.ask(LANE, BANK, "late")
