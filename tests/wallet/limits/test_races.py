"""Limits under real concurrency: what is allowed in all is the limit, to the last riel."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from tests import world
from tests.wallet.ledger.books import assert_books_right
from tests.wallet.limits.steps import Act, act, act_in, assert_counters_right, counters, limit, said
from tests.wallet.qr_steps import ACLEDA, PAYING, balance, code_of, reasons, signed
from tests.world import WorldHolder
from wallet.access.intents import Consumed
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.ledger.book import Posted
from wallet.limits import Rule, Window, open_limits
from wallet.money import Currency, Money
from wallet.outcomes import Done, GroupAnswer
from wallet.teller import Lane, Teller
from wallet.work import SYSTEM, Work, Works


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


async def spend(work: Work, acts: Sequence[Act]) -> list[GroupAnswer]:
    return [
        Done(answer={}) if isinstance(answer, Posted) else answer
        for answer in await act_in(work, acts)
    ]


SPENDING: Lane[Act] = Lane("test.spend", spend)


async def test_riel_and_dollars_at_once_in_two_processes_use_up_one_limit_over_both_exactly(
    works: Works, elsewhere: Works, clock: TurnedClock
) -> None:
    """No wallet's lock stands between them: only the counter itself does."""
    holder = await world.holder(works, khr=1_000_000, usd=10_000_00)
    rule = Rule(window=Window.MONTH, currency=Currency.KHR, both=True, most_minor=100_000)
    await limit(works, clock, rule, riel_per_dollar=4_000)
    monies = [Money.khr(2_000), Money.usd(50)]  # the same, at the sheet's rate
    wanted = [Act(holder=holder, money=monies[i % 2]) for i in range(200)]
    tellers = [Teller(one, grouping=i > 1) for i, one in enumerate((works, elsewhere) * 2)]
    answers = await asyncio.gather(
        *(tellers[i % 3].ask(SPENDING, ACLEDA, one) for i, one in enumerate(wanted))
    )
    assert Counter(reasons(answers)) == {"done": 50, "limit_exceeded": 150}
    month = holder.id, "month/any/any/KHR+", clock.now().date().replace(day=1)
    assert (await counters(works))[month] == (100_000, 50)
    await assert_books_right(works)
    await assert_counters_right(works)


async def test_a_group_that_met_another_version_is_run_again_not_written_over_it(
    works: Works, elsewhere: Works, clock: TurnedClock
) -> None:
    """Both read the day before either has counted it: the second must not count from zero."""
    holder = await world.holder(works, khr=1_000_000, usd=1_000_00)
    rule = Rule(window=Window.DAY, currency=Currency.KHR, both=True, most_minor=100)
    await limit(works, clock, rule)
    other = await world.holder(works, khr=1, usd=1)  # opens the accounts paid to
    await act(works, *(Act(holder=other, money=money) for money in (Money.khr(1), Money.usd(1))))
    read, written = asyncio.Event(), asyncio.Event()
    attempts = 0

    async def slow(work: Work) -> list[str]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            _pause_before_writing(work, read, written)
        return said(await act_in(work, [Act(holder=holder, money=Money.khr(60))]))

    first = asyncio.create_task(works.perform(SYSTEM, ACLEDA, slow))
    await asyncio.wait_for(read.wait(), 10)
    assert said(await act(elsewhere, Act(holder=holder, money=Money.usd(2)))) == ["posted"]
    written.set()
    assert await first == ["limit_exceeded"]  # 80 of the 100 riel were gone
    assert attempts == 2
    await assert_counters_right(works)


def _pause_before_writing(work: Work, read: asyncio.Event, written: asyncio.Event) -> None:
    """Let this Work stop between what it has read of the counters and what it writes."""
    flush = work.flush

    async def pausing() -> None:
        read.set()
        await written.wait()
        await flush()

    work.flush = pausing  # type: ignore[method-assign]


async def test_a_counter_is_never_written_over_another_version_than_was_read(
    works: Works, elsewhere: Works, clock: TurnedClock
) -> None:
    """Even by a room that forgot the wallet's lock."""
    holder = await world.holder(works, khr=1_000_000)
    want = Act(holder=holder, money=Money.khr(10)).want()
    attempts = 0
    read, written = asyncio.Event(), asyncio.Event()

    async def count(work: Work) -> None:
        limits = await open_limits(work, [want])
        limits.count(want)
        await limits.write()

    async def slowly(work: Work) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            _pause_before_writing(work, read, written)
        await count(work)

    await works.perform(SYSTEM, ACLEDA, count)
    first = asyncio.create_task(works.perform(SYSTEM, ACLEDA, slowly))
    await asyncio.wait_for(read.wait(), 10)
    await elsewhere.perform(SYSTEM, ACLEDA, count)
    written.set()
    await first
    today = holder.id, "day/any/any/KHR", clock.now().date()
    assert (attempts, (await counters(works))[today]) == (2, (30, 3))
