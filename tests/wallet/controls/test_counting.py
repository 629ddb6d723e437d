"""Money and number over real books: groups, repeats, and 200 authorisations at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests import world
from tests.wallet.controls.steps import (
    ACLEDA,
    Buy,
    asked,
    assert_counters_right,
    buy,
    buy_in,
    give_back,
    later,
    put_bank,
    put_card,
    put_holder,
    said,
)
from tests.wallet.ledger.books import assert_books_right
from tests.wallet.limits.steps import counters, limit
from tests.wallet.qr_steps import reasons
from tests.world import WorldHolder
from wallet.clock import TurnedClock, day_of
from wallet.controls import ControlSheet, Spend, open_controls
from wallet.database import Database
from wallet.identifiers import CardId, new_id
from wallet.ledger.book import Posted
from wallet.limits import Window, forget
from wallet.limits.rules import EVER
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, GroupAnswer
from wallet.teller import Lane, Teller
from wallet.work import SYSTEM, Work, Works

KHR, USD = Currency.KHR, Currency.USD


@pytest.fixture
async def elsewhere(database_url: str, clock: TurnedClock) -> AsyncIterator[Works]:
    """Another process: a pool and a memory of its own."""
    opened = await Database.connect(database_url, largest=12, statement_timeout_s=30)
    yield Works(opened, clock)
    await opened.close()


@pytest.fixture
async def holder(works: Works) -> WorldHolder:
    return await world.holder(works, khr=10_000_000, usd=1_000_00)


@pytest.fixture
def one(holder: WorldHolder) -> Buy:
    return Buy(holder=holder, card_id=CardId(new_id()), money=Money.khr(100))


def spending(window: Window, **most: Any) -> ControlSheet:
    return ControlSheet(spend=(Spend(window=window, currency=KHR, **most),))


def day(minor: int) -> ControlSheet:
    return spending(Window.DAY, most_minor=minor)


async def spend(work: Work, wishes: Sequence[Buy]) -> list[GroupAnswer]:
    return [
        Done(answer={}) if isinstance(answer, Posted) else answer
        for answer in await buy_in(work, wishes)
    ]


SPENDING: Lane[Buy] = Lane("test.purchase", spend)


async def test_a_group_sees_what_was_counted_before_in_it(works: Works, one: Buy) -> None:
    await put_card(works, one.card_id, day(250))
    answers = await buy(works, one, later(one), later(one), later(one, money=Money.khr(50)))
    assert said(answers) == ["held", "held", "limit_exceeded", "held"]
    declined = answers[2]
    assert isinstance(declined, Declined)
    assert declined.facts["set_by"] == "card"
    assert (declined.facts["limit"], declined.facts["left_minor"]) == ("day", 50)
    await assert_counters_right(works)


async def test_200_authorisations_at_once_in_two_processes_use_up_every_limit_exactly(
    works: Works, elsewhere: Works, clock: TurnedClock, one: Buy
) -> None:
    """Two cards of one holder; grouped and one by one; the tightest of three parties' limits."""
    await limit(works, clock)  # the bank's limit sheet says nothing
    second = CardId(new_id())
    await put_bank(works, spending(Window.MONTH, most_minor=90_000))
    await put_holder(works, one.holder.id, spending(Window.LIFETIME, most_count=61))
    await put_card(works, one.card_id, day(40_000))
    wanted = [
        later(one, card_id=(one.card_id, second)[i % 2], money=Money.khr(1_000)) for i in range(200)
    ]
    tellers = [Teller(to, grouping=i > 1) for i, to in enumerate((works, elsewhere) * 2)]
    answers = await asyncio.gather(
        *(tellers[i % 3].ask(SPENDING, ACLEDA, wish) for i, wish in enumerate(wanted))
    )
    assert Counter(reasons(answers)) == {"done": 61, "limit_exceeded": 139}
    found = await counters(works)
    assert found[one.holder.id, "lifetime/card_purchase/any/KHR", EVER] == (61_000, 61)
    today = day_of(clock.now())
    first = found[one.card_id, "day/any/any/KHR", today]
    other = found[second, "day/any/any/KHR", today]
    assert first[0] <= 40_000
    assert (first[0] + other[0], first[1] + other[1]) == (61_000, 61)
    await assert_books_right(works)
    await assert_counters_right(works)


async def test_200_at_once_on_a_card_that_was_never_used_take_its_forty_and_no_more(
    works: Works, elsewhere: Works, clock: TurnedClock, one: Buy
) -> None:
    """No counter's row exists for any of them to lock."""
    await limit(works, clock)
    await put_card(works, one.card_id, day(40_000))
    wanted = [later(one, money=Money.khr(1_000)) for _ in range(200)]
    tellers = [Teller(to, grouping=False) for to in (works, elsewhere) * 4]
    answers = await asyncio.gather(
        *(tellers[i % 8].ask(SPENDING, ACLEDA, wish) for i, wish in enumerate(wanted))
    )
    assert Counter(reasons(answers)) == {"done": 40, "limit_exceeded": 160}
    await assert_counters_right(works)


async def test_what_is_given_back_goes_to_the_day_it_was_counted_in(
    works: Works, clock: TurnedClock, one: Buy
) -> None:
    await put_card(works, one.card_id, day(100))
    assert said(await buy(works, one)) == ["held"]
    counted_at = clock.now()
    clock.advance(timedelta(hours=24))
    assert said(await buy(works, later(one))) == ["held"]
    await give_back(works, one, counted_at)
    await give_back(works, one, counted_at)  # again: the book says no, nothing is given back twice
    assert said(await buy(works, later(one, money=Money.khr(1)))) == ["limit_exceeded"]
    today = day_of(clock.now())
    found = await counters(works)
    assert found[one.card_id, "day/any/any/KHR", today] == (100, 1)
    assert found[one.card_id, "day/any/any/KHR", today - timedelta(days=1)] == (0, 0)
    assert found[one.card_id, "lifetime/any/any/KHR", EVER] == (100, 1)
    await assert_counters_right(works)


async def test_less_captured_gives_back_the_rest_and_the_purchase_stays_one(
    works: Works, clock: TurnedClock, one: Buy
) -> None:
    await put_card(works, one.card_id, day(100))
    await buy(works, one)
    await give_back(works, one, clock.now(), Money.khr(30))
    (declined, held) = await buy(
        works, later(one, money=Money.khr(71)), later(one, money=Money.khr(70))
    )
    assert said([declined, held]) == ["limit_exceeded", "held"]
    await assert_counters_right(works)


async def test_a_lifetime_outlives_the_forgetting_of_old_windows(
    works: Works, clock: TurnedClock, one: Buy
) -> None:
    await put_card(works, one.card_id, spending(Window.LIFETIME, most_minor=150))
    await buy(works, one)
    clock.advance(timedelta(days=400))
    gone = await works.perform(SYSTEM, ACLEDA, lambda work: forget(work, work.now, 5_000))
    assert gone == 5  # the days and months of the holder and the card
    assert said(await buy(works, later(one))) == ["limit_exceeded"]


async def test_what_is_left_is_told_rule_by_rule_after_all_that_was_counted(
    works: Works, one: Buy
) -> None:
    await put_bank(works, day(1_000))
    await put_card(
        works,
        one.card_id,
        ControlSheet(
            spend=(
                Spend(window=Window.LIFETIME, currency=KHR, most_count=3),
                Spend(window=Window.PAYMENT, currency=KHR, most_minor=0),
                Spend(window=Window.DAY, currency=USD, most_minor=5_00),
            )
        ),
    )
    await put_card(works, later(one, card_id=CardId(new_id())).card_id, day(1))
    await put_holder(works, one.holder.id, day(500))
    free = later(one, card_id=CardId(new_id()))
    await buy(works, free)
    left = [
        (one.set_by, one.window.value, one.left_minor, one.left_count)
        for one in (await asked(works, one)).remaining(one.purchase(works.clock.now()))
    ]
    assert left == [
        ("bank", "day", 1_000, None),  # each card by itself
        ("holder", "day", 400, None),  # all of the holder's
        ("card", "payment", 0, None),
        ("card", "lifetime", None, 3),
    ]


async def test_a_group_asks_as_often_as_one(works: Works, one: Buy) -> None:
    await put_card(works, one.card_id, day(100))
    counts = [await statements(works, [later(one) for _ in range(size)]) for size in (1, 60)]
    assert counts[0] == counts[1]


async def statements(works: Works, wishes: Sequence[Buy]) -> int:
    """How many statements opening the controls of a group takes."""

    async def run(work: Work) -> int:
        seen = 0
        asked_of = work.rows

        async def counting(sql: str, *arguments: object) -> object:
            nonlocal seen
            seen += 1
            return await asked_of(sql, *arguments)

        work.rows = counting  # type: ignore[assignment,method-assign]
        await open_controls(work, [wish.purchase(work.now) for wish in wishes])
        return seen

    await works.perform(SYSTEM, ACLEDA, run)  # the limit sheet is remembered from here on
    return await works.perform(SYSTEM, ACLEDA, run)
