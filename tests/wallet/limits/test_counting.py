"""What is allowed, counted and given back: one act, one day, one month, one card, one holder."""

import re
from datetime import timedelta

import pytest

from tests import world
from tests.wallet.limits.steps import (
    Act,
    act,
    assert_counters_right,
    counters,
    limit,
    resolve,
    said,
)
from tests.world import WorldHolder
from wallet.clock import TurnedClock, day_of
from wallet.identifiers import CardId, new_id
from wallet.ledger.book import TransferKind
from wallet.limits import Channel, OwnLimits, Per, Rule, Tier, Window, forget, set_tier
from wallet.limits.expiring import release_due
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Reason
from wallet.work import SYSTEM, Work, Works

KHR, USD = Currency.KHR, Currency.USD
DAY, MONTH, PAYMENT = Window.DAY, Window.MONTH, Window.PAYMENT
TO_MIDNIGHT = timedelta(hours=15)
"""The tests' first moment is nine in the morning in Phnom Penh."""


@pytest.fixture
async def holder(works: Works) -> WorldHolder:
    return await world.holder(works, khr=1_000_000, usd=1_000_00)


def riel(holder: WorldHolder, minor: int, **about: object) -> Act:
    return Act(holder=holder, money=Money.khr(minor), **about)  # type: ignore[arg-type]


def cents(holder: WorldHolder, minor: int, **about: object) -> Act:
    return Act(holder=holder, money=Money.usd(minor), **about)  # type: ignore[arg-type]


def facts(answer: object) -> tuple[object, ...]:
    assert isinstance(answer, Declined)
    assert answer.reason is Reason.LIMIT_EXCEEDED
    told = answer.facts
    return told["limit"], told["most"], told["left"]


# peers' traps


async def test_trap_1_zero_allows_nothing_and_null_is_no_limit(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    """Lithic reads `spend_limit: 0` as no limit at all."""
    await limit(
        works,
        clock,
        Rule(window=DAY, currency=KHR, most_minor=0),
        Rule(window=DAY, currency=USD, most_minor=None),
        Rule(window=PAYMENT, currency=USD, kind=TransferKind.TOPUP, most_count=0),
    )
    (one_riel,) = await act(works, riel(holder, 1))
    assert facts(one_riel) == ("day", "0 KHR", "0 KHR")
    assert said(await act(works, cents(holder, 1_000_00))) == ["posted"]
    (topup,) = await act(works, cents(holder, 1, kind=TransferKind.TOPUP))
    assert facts(topup) == ("payment_count", "0", "0")


async def test_trap_2_a_day_begins_at_midnight_in_phnom_penh_not_in_greenwich(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    await limit(works, clock, Rule(window=DAY, currency=KHR, most_minor=100))
    clock.advance(TO_MIDNIGHT - timedelta(minutes=1, microseconds=1))  # 23:59:59.999999
    assert said(await act(works, riel(holder, 100))) == ["posted"]
    assert said(await act(works, riel(holder, 1))) == ["limit_exceeded"]
    clock.advance(timedelta(microseconds=1))
    assert said(await act(works, riel(holder, 100))) == ["posted"]
    clock.advance(timedelta(hours=7))  # midnight in Greenwich: no new day
    assert said(await act(works, riel(holder, 1))) == ["limit_exceeded"]
    await assert_counters_right(works)


async def test_trap_3_holds_count_from_the_start_so_they_cannot_be_stacked(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    """Marqeta counts cleared money alone: any number of holds fits."""
    await limit(works, clock, Rule(window=DAY, currency=KHR, most_minor=100))
    held = [riel(holder, 40, kind=TransferKind.TOPUP, hold_for=timedelta(hours=1)) for _ in "123"]
    answers = await act(works, *held)
    assert said(answers) == ["posted", "posted", "limit_exceeded"]
    assert facts(answers[2]) == ("day", "100 KHR", "20 KHR")
    assert said(await act(works, riel(holder, 21))) == ["limit_exceeded"]
    assert said(await act(works, riel(holder, 20))) == ["posted"]
    await assert_counters_right(works)


# windows


async def test_a_month_is_a_calendar_month_in_phnom_penh(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    await limit(works, clock, Rule(window=MONTH, currency=KHR, most_minor=100))
    assert said(await act(works, riel(holder, 60))) == ["posted"]
    clock.advance(timedelta(days=19) + TO_MIDNIGHT - timedelta(minutes=1, seconds=1))  # 31 January
    answers = await act(works, riel(holder, 41), riel(holder, 40))
    assert said(answers) == ["limit_exceeded", "posted"]
    assert facts(answers[0]) == ("month", "100 KHR", "40 KHR")
    clock.advance(timedelta(seconds=1))
    assert said(await act(works, riel(holder, 100))) == ["posted"]


async def test_one_act_has_a_limit_of_its_own_that_no_day_renews(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    await limit(works, clock, Rule(window=PAYMENT, currency=KHR, most_minor=50))
    answers = await act(works, riel(holder, 51), riel(holder, 50), riel(holder, 50))
    assert said(answers) == ["limit_exceeded", "posted", "posted"]
    assert facts(answers[0]) == ("payment", "50 KHR", "50 KHR")


async def test_a_number_of_acts_is_limited_too(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    rule = Rule(window=DAY, currency=KHR, both=True, most_count=2, kind=TransferKind.TOPUP)
    await limit(works, clock, rule)
    first = await act(works, riel(holder, 1, kind=TransferKind.TOPUP))
    second = await act(works, cents(holder, 1, kind=TransferKind.TOPUP))
    third = await act(works, riel(holder, 1, kind=TransferKind.TOPUP), riel(holder, 1))
    assert said([*first, *second, *third]) == ["posted", "posted", "limit_exceeded", "posted"]
    assert facts(third[0]) == ("day_count", "2", "0")


# who, where, with what


async def test_each_tier_has_its_own_and_a_change_of_tier_remembers_the_day(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    await limit(
        works,
        clock,
        Rule(window=DAY, currency=KHR, most_minor=100, tier=Tier.FULL),
        Rule(window=DAY, currency=KHR, most_minor=30, tier=Tier.BASIC),
    )

    async def put(tier: Tier) -> None:
        await works.perform(
            SYSTEM, holder.bank, lambda work: set_tier(work, holder.id, tier, reason="a test")
        )

    assert said(await act(works, riel(holder, 20))) == ["posted"]
    await put(Tier.BASIC)
    answers = await act(works, riel(holder, 11), riel(holder, 10))
    assert said(answers) == ["limit_exceeded", "posted"]
    assert facts(answers[0]) == ("day", "30 KHR", "10 KHR")
    await put(Tier.FULL)
    assert said(await act(works, riel(holder, 71), riel(holder, 70))) == [
        "limit_exceeded",
        "posted",
    ]


async def test_a_channel_and_a_kind_are_counted_by_themselves(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    await limit(
        works,
        clock,
        Rule(window=DAY, currency=KHR, most_minor=50, channel=Channel.ATM),
        Rule(window=DAY, currency=KHR, most_minor=10, kind=TransferKind.TOPUP),
    )
    answers = await act(
        works,
        riel(holder, 50, channel=Channel.ATM),
        riel(holder, 1, channel=Channel.ATM),
        riel(holder, 500),
        riel(holder, 10, kind=TransferKind.TOPUP),
        riel(holder, 1, kind=TransferKind.TOPUP),
    )
    assert said(answers) == ["posted", "limit_exceeded", "posted", "posted", "limit_exceeded"]


async def test_a_card_has_its_products_limit_and_its_own_and_its_holders_above_it(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    await limit(
        works,
        clock,
        Rule(window=DAY, currency=USD, most_minor=100, per=Per.CARD),
        Rule(window=DAY, currency=USD, most_minor=150),
    )
    first, second = CardId(new_id()), CardId(new_id())
    tight = OwnLimits(per_use_minor=60, daily_minor=90, uses_per_day=2)
    answers = await act(
        works,
        cents(holder, 61, card_id=first, own=tight),  # above one use
        cents(holder, 60, card_id=first, own=tight),
        cents(holder, 31, card_id=first, own=tight),  # above its own day
        cents(holder, 30, card_id=first, own=tight),
        cents(holder, 1, card_id=first),  # ninety of the product's hundred
        cents(holder, 60, card_id=second),  # above the holder's hundred and fifty
        cents(holder, 59, card_id=second),
    )
    assert said(answers) == [
        "limit_exceeded", "posted", "limit_exceeded", "posted", "posted", "limit_exceeded", "posted"
    ]  # fmt: skip
    twice = OwnLimits(uses_per_day=1)
    (again,) = await act(works, cents(holder, 1, card_id=second, own=twice))
    assert facts(again)[0] == "day"  # the holder's is used up, and is told first
    today = day_of(clock.now())
    assert (await counters(works))[first, "day/any/any/USD", today] == (91, 3)
    await assert_counters_right(works)


async def test_one_limit_over_both_currencies_counts_at_the_sheets_rate_rounded_up(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    over_both = Rule(window=DAY, currency=KHR, both=True, most_minor=1_000)
    await limit(works, clock, over_both, riel_per_dollar=4_050)  # a cent is 40.5 riel
    answers = await act(works, cents(holder, 1), riel(holder, 900), cents(holder, 1))
    assert said(answers) == ["posted", "posted", "posted"]
    answers = await act(works, cents(holder, 1), riel(holder, 19), riel(holder, 18))
    assert said(answers) == ["limit_exceeded", "limit_exceeded", "posted"]
    assert facts(answers[0]) == ("day", "1,000 KHR", "18 KHR")
    today = day_of(clock.now())
    assert (await counters(works))[holder.id, "day/any/any/KHR+", today] == (1_000, 4)


# what counts, and what does not


async def test_a_repeat_of_the_same_id_counts_once_even_when_nothing_is_left(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    await limit(works, clock, Rule(window=DAY, currency=KHR, most_minor=100))
    once = riel(holder, 100)
    assert said(await act(works, once, once)) == ["posted", "posted"]
    (again,) = await act(works, once)
    assert said([again]) == ["posted"]
    assert (await counters(works))[holder.id, "day/any/any/KHR", day_of(clock.now())] == (100, 1)
    await assert_counters_right(works)


async def test_what_is_declined_counts_nothing(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    before = await counters(works)
    answers = await act(works, riel(holder, 1_000_001), riel(holder, 40_000_001))
    assert said(answers) == ["insufficient_funds", "limit_exceeded"]
    assert await counters(works) == before
    assert said(await act(works, riel(holder, 1_000_000))) == ["posted"]


async def test_void_and_expiry_give_back_to_the_day_and_month_that_counted(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    month = Rule(window=MONTH, currency=KHR, most_minor=100)
    await limit(works, clock, Rule(window=DAY, currency=KHR, most_minor=60), month)
    held_at = clock.now()
    voided, expiring = (
        riel(holder, 30, kind=TransferKind.TOPUP, hold_for=timedelta(hours=20)) for _ in "12"
    )
    assert said(await act(works, voided, expiring)) == ["posted", "posted"]
    assert said(await act(works, riel(holder, 1))) == ["limit_exceeded"]
    clock.advance(TO_MIDNIGHT)  # the day is another, the month the same
    assert said(await act(works, riel(holder, 40))) == ["posted"]
    assert said(await act(works, riel(holder, 1))) == ["limit_exceeded"]
    assert said([await resolve(works, voided, held_at)]) == ["posted"]
    assert said([await resolve(works, voided, held_at)]) == ["hold_already_voided"]
    assert said(await act(works, riel(holder, 21), riel(holder, 20))) == [
        "limit_exceeded",
        "posted",
    ]  # the day's sixty; the month has ten left
    clock.advance(timedelta(hours=9))
    assert await release_due(works, holder.bank) == 1
    assert await release_due(works, holder.bank) == 0
    measure = "day/any/any/KHR"
    kept = await counters(works)
    assert kept[holder.id, measure, day_of(held_at)] == (0, 0)
    assert kept[holder.id, measure, day_of(clock.now())] == (60, 2)
    first = day_of(held_at).replace(day=1)
    assert kept[holder.id, "month/any/any/KHR", first] == (60, 2)
    await assert_counters_right(works)


async def test_a_voided_hold_of_the_same_day_can_be_spent_again(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    rule = Rule(window=DAY, currency=KHR, most_minor=100, most_count=1)
    await limit(works, clock, rule)
    held = riel(holder, 100, kind=TransferKind.TOPUP, hold_for=timedelta(hours=1))
    assert said(await act(works, held)) == ["posted"]
    assert said(await act(works, riel(holder, 1))) == ["limit_exceeded"]
    assert said([await resolve(works, held, clock.now())]) == ["posted"]
    assert said(await act(works, riel(holder, 100))) == ["posted"]
    await assert_counters_right(works)


async def test_a_capture_in_part_gives_the_rest_back_and_stays_one_act(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    await limit(works, clock, Rule(window=DAY, currency=KHR, most_minor=100))
    held = riel(holder, 100, kind=TransferKind.TOPUP, hold_for=timedelta(hours=1))
    assert said(await act(works, held)) == ["posted"]
    capture_id = new_id()
    for _ in range(2):  # a repeat gives nothing back again
        answer = await resolve(works, held, clock.now(), Money.khr(70), capture_id)
        assert said([answer]) == ["posted"]
    assert (await counters(works))[holder.id, "day/any/any/KHR", day_of(clock.now())] == (70, 1)
    assert said(await act(works, riel(holder, 31), riel(holder, 30))) == [
        "limit_exceeded",
        "posted",
    ]
    await assert_counters_right(works)


# sheets


async def test_without_a_sheet_of_its_own_a_bank_has_the_national_banks_tiers(
    works: Works, clock: TurnedClock
) -> None:
    rich = await world.holder(works, khr=50_000_000, usd=11_000_00)
    rest = Money.khr(20_000_000)
    topup = TransferKind.TOPUP
    answers = await act(
        works,
        Act(holder=rich, money=rest, kind=topup),
        Act(holder=rich, money=rest, kind=topup),
        Act(holder=rich, money=Money.khr(1), kind=topup),
        Act(holder=rich, money=Money.usd(10_000_00), kind=topup),
        Act(holder=rich, money=Money.usd(1), kind=topup),
    )
    assert said(answers) == ["posted", "posted", "limit_exceeded", "posted", "limit_exceeded"]


async def test_a_new_sheet_holds_from_its_moment_on_and_counts_what_the_day_has_already(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    assert said(await act(works, riel(holder, 90))) == ["posted"]
    await limit(works, clock, Rule(window=DAY, currency=KHR, most_minor=100))
    clock.advance(-timedelta(microseconds=1))
    assert said(await act(works, riel(holder, 5))) == ["posted"]
    clock.advance(timedelta(microseconds=1))
    answers = await act(works, riel(holder, 6), riel(holder, 5))
    assert said(answers) == ["limit_exceeded", "posted"]


async def test_counters_of_windows_long_over_are_forgotten(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    await act(works, riel(holder, 1))
    clock.advance(timedelta(days=60))
    await act(works, riel(holder, 2))
    clock.advance(timedelta(days=20))

    async def sweep(work: Work) -> int:
        return await forget(work, work.now, 5_000)

    assert await works.perform(SYSTEM, holder.bank, sweep) == 1
    assert [amount for amount, _ in (await counters(works)).values()] == [2]
    await assert_counters_right(works)


@pytest.mark.parametrize(
    ("measure", "column"),
    [
        ("day/any/any/KHR", "amount_minor"),
        ("day/any/any/KHR", "uses"),
        ("month/topup/any/KHR", "amount_minor"),
        ("month/topup/any/KHR+", "uses"),
    ],
)
async def test_proving_finds_a_counter_that_says_something_else_than_the_journal(
    works: Works, clock: TurnedClock, holder: WorldHolder, measure: str, column: str
) -> None:
    topup = TransferKind.TOPUP
    await limit(
        works,
        clock,
        Rule(window=MONTH, currency=KHR, most_minor=900, kind=topup),
        Rule(window=MONTH, currency=KHR, both=True, most_count=9, kind=topup),
    )
    await act(works, riel(holder, 5, kind=topup), cents(holder, 5, kind=topup), riel(holder, 3))
    await assert_counters_right(works)

    async def falsify(work: Work) -> None:
        sql = f"update limit_counters set {column} = {column} + 1 where measure = $1"
        assert await work.execute(sql, measure) == "UPDATE 1"

    await works.perform(SYSTEM, holder.bank, falsify)
    with pytest.raises(AssertionError, match=f"{re.escape(measure)} .*{holder.id}"):
        await assert_counters_right(works)


async def test_proving_finds_a_payment_that_no_counter_has(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    await act(works, riel(holder, 5))

    async def lose(work: Work) -> None:
        assert await work.execute("delete from limit_counters") == "DELETE 1"

    await works.perform(SYSTEM, holder.bank, lose)
    with pytest.raises(AssertionError, match=str(holder.id)):
        await assert_counters_right(works)
