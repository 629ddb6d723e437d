"""Changing riel and dollars: the quote to the last minor unit, all its legs or none, in time."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import world
from tests.conftest import FIRST_MOMENT
from tests.wallet.ledger.books import assert_books_right
from tests.wallet.limits.steps import assert_counters_right, limit, put_in_force
from tests.wallet.qr_steps import reasons
from tests.world import WorldHolder
from wallet import exchange
from wallet.access.intents import Asked, Consumed, Prepared
from wallet.clock import TurnedClock
from wallet.exchange import CHECKS, EXCHANGE, ExchangeFields, Quote, RateSheet, quote_of
from wallet.identifiers import BankId, DeviceId, IntentId, new_id
from wallet.ledger.book import TransferKind
from wallet.ledger.chart import AccountKind, house_account
from wallet.ledger.proof import prove
from wallet.ledger.statement import balances
from wallet.limits import Rule, Window
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Reason, Refused
from wallet.teller import Lane, Teller
from wallet.terms import Sort, Term
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")
KHR, USD = Currency.KHR, Currency.USD
RATE = RateSheet(mid_hundredths=409_850, spread_bps=50)
CHANGING: Lane[Consumed] = Lane("test.exchange", EXCHANGE.authorise)


@pytest.fixture
async def holder(works: Works, clock: TurnedClock) -> WorldHolder:
    await put_in_force(works, clock, Sort.RATES, RATE)
    return await world.holder(works, khr=1_000_000, usd=500_00)


async def prepare(
    works: Works, holder: WorldHolder, amount: str, currency: Currency = KHR
) -> Prepared | Refused:
    asked = Asked(
        holder_id=holder.id,
        device_id=DeviceId(new_id()),
        bank=holder.bank,
        language="en",
        fields=ExchangeFields(amount=amount, currency=currency),
    )
    answers = await works.perform(SYSTEM, holder.bank, lambda w: EXCHANGE.prepare(w, [asked]))
    return answers[0]


async def signed(
    works: Works, holder: WorldHolder, amount: str, currency: Currency = KHR
) -> Consumed:
    shown = await prepare(works, holder, amount, currency)
    assert isinstance(shown, Prepared), shown
    return Consumed(
        intent_id=IntentId(new_id()),
        holder_id=holder.id,
        device_id=DeviceId(new_id()),
        device_key=bytes(65),
        bank=holder.bank,
        money=shown.money,
        payee="",
        plan=shown.plan,
        now=works.clock.now(),
    )


async def change(works: Works, *consumed: Consumed) -> list[Any]:
    return list(
        await works.perform(SYSTEM, ACLEDA, lambda work: EXCHANGE.authorise(work, consumed))
    )


async def standing(works: Works, holder: WorldHolder) -> dict[str, tuple[int, int]]:
    """(riel, cents) of the holder and of each of the bank's exchange accounts."""

    async def query(work: Work) -> dict[str, tuple[int, int]]:
        named = {"holder": (holder.khr, holder.usd)}
        for kind in (AccountKind.FX_POSITION, AccountKind.FX_SPREAD, AccountKind.FX_ROUNDING):
            named[kind.value] = (
                await house_account(work, kind, KHR),
                await house_account(work, kind, USD),
            )
        found = await balances(work, [account for pair in named.values() for account in pair])
        return {
            name: (found[riel].posted.minor, found[cents].posted.minor)
            for name, (riel, cents) in named.items()
        }

    return await works.perform(SYSTEM, ACLEDA, query)


async def assert_right(works: Works) -> None:
    await assert_books_right(works)
    await assert_counters_right(works)
    for finding in await prove(works, CHECKS):
        assert finding.right, finding.difference


# it goes well


async def test_riel_become_dollars_with_spread_and_rounding_as_legs_of_their_own(
    works: Works, holder: WorldHolder
) -> None:
    shown = await prepare(works, holder, "400000")
    assert isinstance(shown, Prepared)
    # 400,000 riel at 4,098.50 are 97.5966 dollars; half a per cent of it 0.4879
    assert shown.money == Money.khr(400_000)
    wanted = ("400,000 KHR", "97.10 USD", "1 USD = 4,098.50 KHR", "keeps 0.49 USD", "09:02:00")
    assert [text for text in wanted if text not in shown.text_en] == []
    khmer = ("៤០០,០០០ រៀល", "៩៧.១០ ដុល្លារ", "១ ដុល្លារ = ៤,០៩៨.៥០ រៀល", "០៩:០២:០០")
    assert [text for text in khmer if text not in shown.text_km] == []
    assert (shown.facts["rate"], shown.facts["spread_bps"]) == ("4,098.50", 50)

    (answer,) = await change(works, await signed(works, holder, "400000"))

    assert isinstance(answer, Done)
    figures = ("got_minor", "spread_minor", "rounding_minor", "available_minor")
    assert [answer.answer[name] for name in figures] == [97_10, 48, 1, 600_000]
    assert await standing(works, holder) == {
        "holder": (600_000, 597_10),
        "fx_position": (400_000, -97_59),
        "fx_spread": (0, 48),
        "fx_rounding": (0, 1),
    }
    await assert_right(works)


async def test_dollars_become_riel(works: Works, holder: WorldHolder) -> None:
    (answer,) = await change(works, await signed(works, holder, "1.01", USD))
    assert isinstance(answer, Done)
    # 4,139.485 riel gross, 20.697 of it the bank's
    assert answer.answer["got_minor"] == 4_118
    assert await standing(works, holder) == {
        "holder": (1_004_118, 498_99),
        "fx_position": (-4_139, 1_01),
        "fx_spread": (20, 0),
        "fx_rounding": (1, 0),
    }
    await assert_right(works)


async def test_a_repeat_changes_nothing_more_and_says_the_same(
    works: Works, holder: WorldHolder, clock: TurnedClock
) -> None:
    once = await signed(works, holder, "400000")
    (first,) = await change(works, once)
    clock.advance(timedelta(minutes=5))
    (again,) = await change(works, once)
    assert again.answer["got_minor"] == first.answer["got_minor"]
    assert (await standing(works, holder))["holder"] == (600_000, 597_10)
    await assert_right(works)


async def test_an_exchange_is_announced_recorded_and_on_the_record(
    works: Works, holder: WorldHolder
) -> None:
    once = await signed(works, holder, "400000")
    await change(works, once)

    async def query(work: Work) -> list[Any]:
        return [
            await work.row("select * from events where kind = 'exchange.done'"),
            await work.row("select * from audit where act = 'exchange'"),
            await work.row("select * from exchanges"),
        ]

    event, note, row = await works.read(SYSTEM, None, query)
    assert event["body"]["got"] == {"minor": 97_10, "currency": "USD"}
    assert (note["holder_id"], note["actor_kind"]) == (holder.id, "holder")
    assert (row["id"], row["mid_hundredths"]) == (once.intent_id, 409_850)


# the quote


async def test_the_quoted_figures_hold_for_a_minute_whatever_the_rate_does(
    works: Works, holder: WorldHolder, clock: TurnedClock
) -> None:
    clock.advance(timedelta(seconds=1))
    early, late = [await signed(works, holder, "400000") for _ in range(2)]
    await put_in_force(works, clock, Sort.RATES, RateSheet(mid_hundredths=420_000, spread_bps=0))
    clock.advance(timedelta(microseconds=-1))  # 59.999999 s after the quote
    (answer,) = await change(works, early)
    assert isinstance(answer, Done)
    assert answer.answer["got_minor"] == 97_10
    clock.advance(timedelta(microseconds=1))
    assert await change(works, late) == [Declined(reason=Reason.QUOTE_EXPIRED)]
    fresh = await prepare(works, holder, "420000")
    assert isinstance(fresh, Prepared)
    assert fresh.facts["got_minor"] == 100_00
    await assert_right(works)


@pytest.mark.parametrize(
    ("amount", "currency", "reason"),
    [
        ("0", KHR, Reason.AMOUNT_INVALID),
        ("-5", KHR, Reason.AMOUNT_INVALID),
        ("100.5", KHR, Reason.AMOUNT_INVALID),
        ("1e5", KHR, Reason.AMOUNT_INVALID),
        ("9" * 20, USD, Reason.AMOUNT_INVALID),
        ("40", KHR, Reason.AMOUNT_OUT_OF_RANGE),  # less than a cent
        ("20000001", KHR, Reason.LIMIT_EXCEEDED),
    ],
)
async def test_what_cannot_be_quoted_is_refused_for_its_own_reason(
    works: Works, holder: WorldHolder, amount: str, currency: Currency, reason: Reason
) -> None:
    answer = await prepare(works, holder, amount, currency)
    assert isinstance(answer, Refused)
    assert answer.reason is reason


async def test_a_bank_without_a_rate_changes_nothing(works: Works) -> None:
    person = await world.holder(works, khr=1_000)
    answer = await prepare(works, person, "1000")
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.EXCHANGE_UNAVAILABLE


AMOUNTS = st.builds(Money, st.integers(1, 2**45), st.sampled_from(Currency))
RATES = st.builds(
    RateSheet, mid_hundredths=st.integers(100_000, 1_000_000), spread_bps=st.integers(0, 500)
)


@given(given_money=AMOUNTS, rate=RATES)
def test_no_minor_unit_is_made_or_lost_and_every_rounding_is_the_houses(
    given_money: Money, rate: RateSheet
) -> None:
    """D13."""
    term = Term(id=UUID(int=1), effective_from=FIRST_MOMENT, what=rate)
    quote = quoted(term, given_money)
    if quote is None:
        return
    got, mid = quote.got.minor, rate.mid_hundredths
    gross = got + quote.spread_minor + quote.rounding_minor
    parts, of = (
        (given_money.minor * 10_000, mid)
        if given_money.currency is KHR
        else (given_money.minor * mid, 10_000)
    )
    assert gross * of <= parts < (gross + 1) * of
    # the holder never gets more than the exact figure less the exact spread
    assert got * of * 10_000 <= parts * (10_000 - rate.spread_bps)
    assert 0 <= quote.rounding_minor <= 1
    # and nobody grows richer by changing to and fro
    back = quoted(term, quote.got)
    assert back is None or back.got.minor <= given_money.minor


def quoted(term: Term[RateSheet], money: Money) -> Quote | None:
    """None for what buys nothing."""
    try:
        return quote_of(term, money, FIRST_MOMENT)
    except Refused:
        return None


# all or none


async def test_too_little_money_declines_with_nothing_changed(
    works: Works, holder: WorldHolder
) -> None:
    before = await standing(works, holder)
    (answer,) = await change(works, await signed(works, holder, "1000001"))
    assert isinstance(answer, Declined)
    assert (answer.reason, answer.facts["available_minor"]) == (
        Reason.INSUFFICIENT_FUNDS,
        1_000_000,
    )
    assert await standing(works, holder) == before
    await assert_right(works)


async def test_a_closed_wallet_to_be_paid_into_declines_before_anything_is_given(
    works: Works, holder: WorldHolder
) -> None:
    once = await signed(works, holder, "400000")
    before = await standing(works, holder)

    async def close(work: Work) -> None:
        sql = "update accounts set closed_at = now() where id = $1"
        assert await work.execute(sql, holder.usd) == "UPDATE 1"

    await works.perform(SYSTEM, ACLEDA, close)
    assert await change(works, once) == [
        Declined(reason=Reason.ACCOUNT_CLOSED, facts={"side": "credit"})
    ]
    assert await standing(works, holder) == before


async def test_one_group_decides_each_by_what_those_before_it_left(
    works: Works, holder: WorldHolder
) -> None:
    group = [await signed(works, holder, "400000") for _ in range(3)]
    back = await signed(works, holder, "600", USD)  # only with what the first two bring
    answers = await change(works, *group, back)
    assert reasons(answers) == ["done", "done", "insufficient_funds", "done"]
    await assert_right(works)


async def test_fifty_at_once_of_two_tellers_change_exactly_what_there_is(
    works: Works, holder: WorldHolder
) -> None:
    tellers = [Teller(works), Teller(works)]
    wanted = [await signed(works, holder, "70000") for _ in range(50)]
    answers = await asyncio.gather(
        *(tellers[i % 2].ask(CHANGING, ACLEDA, one) for i, one in enumerate(wanted))
    )
    assert Counter(reasons(answers)) == {"done": 14, "insufficient_funds": 36}
    assert (await standing(works, holder))["holder"][0] == 1_000_000 - 14 * 70_000
    await assert_right(works)


async def test_exchanges_are_limited_by_number_over_both_currencies(
    works: Works, clock: TurnedClock, holder: WorldHolder
) -> None:
    kind = TransferKind.EXCHANGE
    rule = Rule(window=Window.DAY, currency=KHR, both=True, most_count=2, kind=kind)
    await limit(works, clock, rule)
    group = [
        await signed(works, holder, amount, currency)
        for amount, currency in (("5000", KHR), ("1", USD), ("5000", KHR))
    ]
    answers = await change(works, *group)
    assert reasons(answers) == ["done", "done", "limit_exceeded"]
    assert answers[2].facts["limit"] == "day_count"
    assert answers[0].answer["limit_left_count"] == 1
    await assert_right(works)


async def test_proving_finds_an_exchange_that_is_not_its_legs(
    works: Works, holder: WorldHolder
) -> None:
    await change(works, await signed(works, holder, "400000"))

    async def invent(work: Work) -> None:
        await work.execute(
            "insert into exchanges select $1, bank, holder_id, rate_id, mid_hundredths, spread_bps,"
            " given_currency, given_minor, got_currency, got_minor, spread_minor, rounding_minor,"
            " quoted_at, at from exchanges",
            new_id(),
        )

    await works.perform(SYSTEM, ACLEDA, invent)
    assert [finding.right for finding in await prove(works, exchange.CHECKS)] == [False]
