"""The teller serves callers in groups; nobody pays for a neighbour; the queue has an end."""

import asyncio
import random
from collections.abc import Callable, Sequence

import pytest

from tests.behind import rows_of_all_banks
from wallet.database import Database
from wallet.identifiers import BankId
from wallet.outcomes import Done, GroupAnswer, Reason, Refused
from wallet.teller import UNTIL_SERVED, Lane, Teller
from wallet.turns import PLACES, Priority, Turns
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
    xids = await rows_of_all_banks(database, "select distinct xid from audit")
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
    rows = await rows_of_all_banks(database, "select subject from audit order by seq")
    assert [row["subject"] for row in rows] == ["a", "b", "c"]


async def test_a_full_queue_says_busy_and_has_begun_nothing(
    works: Works, database: Database
) -> None:
    """F4."""
    teller = Teller(works, queue_most=10)
    answers = await asyncio.gather(
        *(teller.ask(LANE, BANK, str(i)) for i in range(50)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert refused
    assert {answer.reason for answer in refused} == {Reason.BUSY}
    assert len(await rows_of_all_banks(database, "select 1 from audit")) == 50 - len(refused)


async def test_a_caller_that_goes_away_does_not_stop_its_group(
    teller: Teller, database: Database
) -> None:
    gone = asyncio.create_task(teller.ask(LANE, BANK, "gone"))
    stays = asyncio.create_task(teller.ask(LANE, BANK, "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    assert isinstance(await stays, Done)
    assert len(await rows_of_all_banks(database, "select 1 from audit")) == 2


async def test_closing_answers_those_waiting_and_takes_nobody_new(works: Works) -> None:
    teller = Teller(works)
    waiting = [asyncio.create_task(teller.ask(LANE, BANK, str(i))) for i in range(5)]
    await asyncio.sleep(0)
    await teller.close()
    assert all(isinstance(answer, Done) for answer in await asyncio.gather(*waiting))
    with pytest.raises(Refused):
        await teller.ask(LANE, BANK, "late")


class Gated:
    """A lane whose groups wait to be let on, and tell in which order they began."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.let = asyncio.Event()

    def lane(self, name: str, priority: Priority, patience_s: float = 30.0) -> Lane[str]:
        async def act(work: Work, requests: Sequence[str]) -> Sequence[GroupAnswer]:
            self.began.append(name)
            await self.let.wait()
            return [Done(answer={}) for _ in requests]

        return Lane(name, act, priority=priority, patience_s=patience_s)


async def _until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not what():
            await asyncio.sleep(0.005)


async def test_what_undoes_money_goes_first_and_bulk_work_last(works: Works) -> None:
    """F2."""
    teller, gated = Teller(works, places=1), Gated()
    asked = [asyncio.create_task(teller.ask(gated.lane("first", Priority.BULK), BANK, "x"))]
    await _until(lambda: gated.began == ["first"])
    for priority in reversed(Priority):
        asked.append(
            asyncio.create_task(teller.ask(gated.lane(priority.name, priority), BANK, "x"))
        )
        await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    assert gated.began == ["first"]
    gated.let.set()
    await asyncio.gather(*asked)
    assert gated.began[1:] == [priority.name for priority in Priority]


async def test_a_bulk_run_leaves_room_for_phones(teller: Teller) -> None:
    gated = Gated()
    bulk = gated.lane("bulk", Priority.BULK)
    asked = [asyncio.create_task(teller.ask_group(bulk, BANK, ["x"])) for _ in range(2 * PLACES)]
    await _until(lambda: len(gated.began) == PLACES // 2)
    await asyncio.sleep(0.02)
    assert gated.began == ["bulk"] * (PLACES // 2)
    payment = asyncio.create_task(teller.ask(gated.lane("phone", Priority.PAYMENT), BANK, "x"))
    await _until(lambda: gated.began[-1] == "phone")
    gated.let.set()
    await asyncio.gather(*asked, payment)
    assert gated.began.count("bulk") == 2 * PLACES


async def test_callers_who_wait_for_a_turn_are_served_together(teller: Teller) -> None:
    gated = Gated()
    held = [
        asyncio.create_task(teller.ask(gated.lane(str(i), Priority.PAYMENT), BANK, "x"))
        for i in range(PLACES)
    ]
    await _until(lambda: len(gated.began) == PLACES)
    groups.clear()
    asked = []
    for i in range(20):
        asked.append(asyncio.create_task(teller.ask(LANE, BANK, str(i))))
        await asyncio.sleep(0)
    gated.let.set()
    await asyncio.gather(*held, *asked)
    assert groups == [20]


async def test_whoever_gives_up_waiting_gives_up_the_place_too() -> None:
    turns = Turns(places=1)
    entered: list[str] = []

    async def go(name: str) -> None:
        async with turns.turn(Priority.PAYMENT):
            entered.append(name)
            await asyncio.sleep(0.01)

    async def first() -> None:
        await go("first")
        # The next is called already, but has not entered: all that wait give up but the last.
        for task in given_up[1:]:
            task.cancel()

    leading = asyncio.create_task(first())
    await asyncio.sleep(0)
    given_up = [asyncio.create_task(go("given up")) for _ in range(5)]
    last = asyncio.create_task(go("last"))
    await asyncio.sleep(0)
    given_up[0].cancel()
    await leading
    async with asyncio.timeout(1):
        await last
    assert entered == ["first", "last"]
    async with asyncio.timeout(1):
        await go("again")


async def test_f1_who_waited_too_long_hears_busy_and_nothing_was_begun_for_them(
    works: Works, database: Database
) -> None:
    """F1, F3: a queue that is too old is turned away unserved, whoever comes hears so at once, and
    when the load is gone the next is served as ever."""
    teller, gated = Teller(works, places=1), Gated()
    slow = asyncio.create_task(teller.ask(gated.lane("slow", Priority.PAYMENT), BANK, "x"))
    await _until(lambda: gated.began == ["slow"])
    hasty: Lane[str] = Lane("hasty", _note_all, patience_s=0.05)
    waiting = [asyncio.create_task(teller.ask(hasty, BANK, str(i))) for i in range(20)]
    await asyncio.sleep(0.1)
    with pytest.raises(Refused) as refused:
        async with asyncio.timeout(0.5):
            await teller.ask(hasty, BANK, "late")
    assert (refused.value.reason, refused.value.facts) == (Reason.BUSY, {"retry_after_s": 1})
    gated.let.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {a.reason for a in answers if isinstance(a, Refused)} == {Reason.BUSY}
    assert sum(isinstance(a, Refused) for a in answers) == 20
    assert await rows_of_all_banks(database, "select 1 from audit") == []
    await slow
    assert isinstance(await teller.ask(hasty, BANK, "next"), Done)
    assert len(await rows_of_all_banks(database, "select 1 from audit")) == 1


async def test_of_a_queue_only_those_who_waited_too_long_are_turned_away(works: Works) -> None:
    teller, gated = Teller(works, places=1), Gated()
    slow = asyncio.create_task(teller.ask(gated.lane("slow", Priority.PAYMENT), BANK, "x"))
    await _until(lambda: gated.began == ["slow"])
    lane: Lane[str] = Lane("some", _note_all, patience_s=0.4)
    early = asyncio.create_task(teller.ask(lane, BANK, "early"))
    await asyncio.sleep(0.3)
    later = asyncio.create_task(teller.ask(lane, BANK, "later"))
    await asyncio.sleep(0.15)
    gated.let.set()
    answers = await asyncio.gather(early, later, return_exceptions=True)
    assert isinstance(answers[0], Refused)
    assert isinstance(answers[1], Done)
    await slow


async def test_f2_what_undoes_money_is_never_turned_away_for_its_age(works: Works) -> None:
    """F2: the lanes of reversals, of what a shop took already and of the worker wait for ever."""
    teller, gated = Teller(works, places=1), Gated()
    slow = asyncio.create_task(teller.ask(gated.lane("slow", Priority.PAYMENT), BANK, "x"))
    await _until(lambda: gated.began == ["slow"])
    undoing: Lane[str] = Lane(
        "undoing", _note_all, priority=Priority.REVERSAL, patience_s=UNTIL_SERVED
    )
    waiting = [asyncio.create_task(teller.ask(undoing, BANK, str(i))) for i in range(5)]
    await asyncio.sleep(0.3)
    waiting.append(asyncio.create_task(teller.ask(undoing, BANK, "late")))
    gated.let.set()
    assert all(isinstance(answer, Done) for answer in await asyncio.gather(*waiting, slow))


# --- groups side by side --------------------------------------------------------------------------


class Street:
    """A lane whose requests are about a card each; it watches which groups run at once."""

    def __init__(self) -> None:
        self.under_way: list[set[str]] = []
        self.most_at_once = 0
        self.met: list[set[str]] = []
        """What two groups at once were both about."""
        self.served: list[str] = []
        self.lane: Lane[str] = Lane("cards", self._act, group_most=8, about=lambda said: said[:1])

    async def _act(self, work: Work, requests: Sequence[str]) -> Sequence[GroupAnswer]:
        about = {said[:1] for said in requests}
        self.met += [about & others for others in self.under_way if about & others]
        self.under_way.append(about)
        self.most_at_once = max(self.most_at_once, len(self.under_way))
        await work.rows("select pg_sleep(0.01)")
        self.served += requests
        self.under_way.remove(about)
        return [Done(answer={"said": said}) for said in requests]


async def _served(teller: Teller, street: Street, asked: Sequence[str]) -> None:
    answers = await asyncio.gather(*(teller.ask(street.lane, BANK, said) for said in asked))
    assert [a.answer["said"] for a in answers if isinstance(a, Done)] == list(asked)


async def test_two_groups_run_at_once_and_never_about_the_same(teller: Teller) -> None:
    street, chance = Street(), random.Random(5)
    asked = [f"{chance.choice('abcdefghijklmnop')}{place:03d}" for place in range(400)]
    await _served(teller, street, asked)
    assert street.most_at_once == 2
    assert street.met == []
    for card in "abcdefghijklmnop":
        own = [said for said in street.served if said[0] == card]
        assert own == sorted(own)
        assert len(own) == sum(said[0] == card for said in asked)


async def test_what_is_all_about_one_thing_runs_in_one_group_after_the_other(
    teller: Teller,
) -> None:
    street = Street()
    asked = [f"a{place:03d}" for place in range(100)]
    await _served(teller, street, asked)
    assert street.most_at_once == 1
    assert street.served == asked


async def test_few_who_wait_are_served_by_one_group_at_a_time(teller: Teller) -> None:
    street = Street()
    await _served(teller, street, [f"{card}000" for card in "abcdefgh"])
    assert street.most_at_once == 1


async def test_a_lane_that_does_not_say_what_it_is_about_runs_one_group_at_a_time(
    teller: Teller,
) -> None:
    street = Street()
    street.lane.about = None
    await _served(teller, street, [f"{chr(97 + place % 16)}{place:03d}" for place in range(200)])
    assert street.most_at_once == 1
