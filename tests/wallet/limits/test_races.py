"""Limits under real concurrency: what is allowed in all is the limit, to the last riel."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests import world
from tests.wallet.ledger.books import assert_books_right
from tests.wallet.limits.steps import assert_counters_right, counters
from tests.wallet.qr_steps import ACLEDA, PAYING, balance, code_of, reasons, signed
from tests.world import WorldHolder
from wallet.access.intents import Consumed
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.teller import Teller
from wallet.work import Works


@pytest.fixture
async def elsewhere(database_url: str, clock: TurnedClock) -> AsyncIterator[Works]:
    """Another process: a pool and a memory of its own."""
    opened = await Database.connect(database_url, largest=12, statement_timeout_s=30)
    yield Works(opened, clock)
    await opened.close()


async def intents(
    works: Works, clock: TurnedClock, holder: WorldHolder, count: int, amount: str
) -> list[Consumed]:
    code = code_of(clock, amount=None)
    return [await signed(works, holder, code, amount) for _ in range(count)]


async def test_200_payments_at_once_in_two_processes_use_up_the_day_exactly(
    works: Works, elsewhere: Works, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=300_000_000)
    wanted = await intents(works, clock, holder, 200, "1300000")
    tellers = [Teller(works), Teller(elsewhere)]
    answers = await asyncio.gather(
        *(tellers[i % 2].ask(PAYING, ACLEDA, one) for i, one in enumerate(wanted))
    )
    # 30 of 1,300,000 fit into 40,000,000 riel a day
    assert Counter(reasons(answers)) == {"done": 30, "limit_exceeded": 170}
    assert await balance(works, ACLEDA, holder.khr) == 300_000_000 - 30 * 1_300_000
    assert await counters(works) == {
        (holder.id, "day/any/any/KHR", clock.now().date()): (39_000_000, 30)
    }
    await assert_books_right(works)
    await assert_counters_right(works)


async def test_one_by_one_in_two_processes_neither_loses_nor_doubles_a_count(
    works: Works, elsewhere: Works, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=300_000_000)
    wanted = await intents(works, clock, holder, 60, "900000")
    tellers = [Teller(one, grouping=False) for one in (works, elsewhere) for _ in range(3)]
    answers = await asyncio.gather(
        *(tellers[i % 6].ask(PAYING, ACLEDA, one) for i, one in enumerate(wanted))
    )
    assert Counter(reasons(answers)) == {"done": 44, "limit_exceeded": 16}
    await assert_counters_right(works)


async def test_a_new_day_begins_at_midnight_in_phnom_penh_while_payments_run(
    works: Works, elsewhere: Works, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=300_000_000)
    clock.advance(timedelta(hours=14, minutes=59, seconds=59))  # 23:59:59 there
    before = await intents(works, clock, holder, 6, "10000000")
    tellers = [Teller(works), Teller(elsewhere)]
    answers = [await tellers[i % 2].ask(PAYING, ACLEDA, one) for i, one in enumerate(before[:5])]
    assert reasons(answers) == ["done"] * 4 + ["limit_exceeded"]
    clock.advance(timedelta(seconds=1))
    assert reasons([await tellers[0].ask(PAYING, ACLEDA, before[5])]) == ["done"]
    assert sorted(await counters(works)) == [
        (holder.id, "day/any/any/KHR", (clock.now() + timedelta(hours=7, days=back)).date())
        for back in (-1, 0)
    ]
    await assert_counters_right(works)
