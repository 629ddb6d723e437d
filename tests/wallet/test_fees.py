"""Fees from the bank's table: shown, signed, taken with the act or not at all."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import world
from tests.wallet.cards.counter import Counter
from tests.wallet.ledger.books import assert_books_right
from tests.wallet.limits.steps import assert_counters_right, put_in_force
from tests.wallet.qr_steps import (
    ACLEDA,
    PAYING,
    balance,
    code_of,
    pay,
    prepared,
    reasons,
    settled,
    signed,
)
from wallet.cards import CardRules
from wallet.clock import TurnedClock
from wallet.fees import (
    DEFAULT,
    FeeLine,
    FeeSheet,
    Function,
    Network,
    decide_change,
    decide_fee,
)
from wallet.ledger.chart import AccountKind, house_account
from wallet.ledger.statement import balances
from wallet.limits import Tier, set_tier
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Reason, Refused
from wallet.qr import pay_me
from wallet.teller import Teller
from wallet.terms import Sort
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

KHR, USD = Currency.KHR, Currency.USD
QR = Function.QR_PAYMENT


def line(fee_minor: int, **about: object) -> FeeLine:
    told = {"function": QR, "currency": KHR, **about}
    return FeeLine(fee_minor=fee_minor, **told)  # type: ignore[arg-type]


async def charge(works: Works, clock: TurnedClock, *lines: FeeLine) -> None:
    await put_in_force(works, clock, Sort.FEES, FeeSheet(lines=lines))


async def income(works: Works, detail: str = "qr", currency: Currency = KHR) -> int:
    async def query(work: Work) -> int:
        account = await house_account(work, AccountKind.FEES, currency, detail)
        return (await balances(work, [account]))[account].posted.minor

    return await works.perform(SYSTEM, ACLEDA, query)


# the table


@pytest.mark.parametrize(
    ("about", "fee"),
    [
        ({"amount_minor": 4_000_000, "network": Network.OFF_US}, 3_000),
        ({"amount_minor": 4_000_001, "network": Network.OFF_US}, 6_000),
        ({"amount_minor": 20_000_001, "network": Network.OFF_US}, 9_000),
        ({"amount_minor": 5, "network": Network.ON_US}, None),
        ({"amount_minor": 5, "network": Network.OFF_US, "tier": Tier.BASIC}, 500),
        ({"amount_minor": 4_000_000, "network": Network.OFF_US, "used": 1}, 3_000),
    ],
)
def test_the_first_line_that_fits_holds(about: dict[str, object], fee: int | None) -> None:
    """Retail Pay's bands as ACLEDA prints them, for other banks' codes."""
    off_us = {"network": Network.OFF_US}
    sheet = FeeSheet(
        lines=(
            line(500, tier=Tier.BASIC),
            line(3_000, up_to_minor=4_000_000, **off_us),
            line(6_000, up_to_minor=20_000_000, **off_us),
            line(9_000, **off_us),
        )
    )
    due = decide_fee(sheet, QR, KHR, **about)  # type: ignore[arg-type]
    assert due == (None if fee is None else Money.khr(fee))
    assert decide_fee(sheet, QR, USD, **about) is None  # type: ignore[arg-type]


@given(used=st.integers(0, 9), free=st.integers(0, 9))
def test_as_many_as_are_free_are_free(used: int, free: int) -> None:
    due = decide_fee(FeeSheet(lines=(line(700, free=free),)), QR, KHR, used=used)
    assert (due is None) is (used < free)


def test_a_line_that_could_never_hold_is_refused() -> None:
    sheet = FeeSheet(lines=(line(1), line(2, network=Network.ON_US)))
    with pytest.raises(Refused) as refusal:
        decide_change(DEFAULT, sheet, None)
    assert refusal.value.facts == {"field": "lines[1]"}
    decide_change(DEFAULT, FeeSheet(lines=(line(2, network=Network.ON_US), line(1))), None)


def test_a_free_number_a_month_begins_with_a_month(clock: TurnedClock) -> None:
    sheet = FeeSheet(lines=(line(700, free=3),))
    for moment in (None, clock.now(), clock.now() + timedelta(days=19, hours=22)):
        with pytest.raises(Refused) as refusal:
            decide_change(DEFAULT, sheet, moment)
        assert (refusal.value.reason, refusal.value.facts["starts_a"]) == (Reason.CONFLICT, "month")
    decide_change(DEFAULT, sheet, clock.now() + timedelta(days=19, hours=15))  # 1 February there


@pytest.mark.parametrize("about", [{"free": 1}, {"tier": Tier.BASIC}])
def test_what_the_till_of_purchases_does_not_count_cannot_be_set(about: dict[str, object]) -> None:
    """Taken and never counted, a free number would make every purchase free for ever."""
    sheet = FeeSheet(lines=(line(700, function=Function.CARD_PURCHASE, **about),))
    with pytest.raises(Refused) as refused:
        decide_change(DEFAULT, sheet, None)
    assert refused.value.reason is Reason.INVALID_REQUEST
    assert refused.value.facts == {"field": "lines[0]"}


# a payment's fee


async def test_a_payments_fee_is_shown_signed_and_posted_with_it(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    await charge(works, clock, line(700))
    holder = await world.holder(works, khr=100_000)
    shown = await prepared(works, holder, code_of(clock))
    assert shown.money == Money.khr(15_000)
    assert "Fee: 700 KHR" in shown.text_en
    assert "ថ្លៃសេវា៖ ៧០០ រៀល" in shown.text_km
    assert shown.facts["fee_minor"] == 700

    intent = await signed(works, holder, code_of(clock))
    for _ in range(2):  # asked again it is the same payment and the same fee
        receipt = await teller.ask(PAYING, ACLEDA, intent)
        assert isinstance(receipt, Done)
        assert receipt.answer["fee_minor"] == 700
        assert receipt.answer["available_minor"] == 84_300
    assert await balance(works, ACLEDA, holder.khr) == 84_300
    assert (await settled(works), await income(works)) == (15_000, 700)
    await assert_books_right(works)
    await assert_counters_right(works)  # the fee itself is no spending


async def test_enough_for_the_payment_but_not_for_its_fee_pays_neither(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    await charge(works, clock, line(700))
    holder = await world.holder(works, khr=15_699)
    answer = await pay(works, teller, holder, code_of(clock))
    assert isinstance(answer, Declined)
    assert answer.reason is Reason.INSUFFICIENT_FUNDS
    assert answer.facts["available_minor"] == 15_699
    assert (await balance(works, ACLEDA, holder.khr), await income(works)) == (15_699, 0)
    await world.fund(works, "ACLEDA", holder.khr, Money.khr(1))
    assert isinstance(await pay(works, teller, holder, code_of(clock)), Done)
    assert await balance(works, ACLEDA, holder.khr) == 0


async def test_a_fee_changed_in_mid_payment_is_neither_taken_nor_forgiven(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=100_000)
    before = await signed(works, holder, code_of(clock))
    await charge(works, clock, line(700))
    answer = await teller.ask(PAYING, ACLEDA, before)
    assert answer == Declined(reason=Reason.CONFLICT, facts={"fee_minor": 700})
    assert await balance(works, ACLEDA, holder.khr) == 100_000


async def test_a_code_of_the_own_bank_is_on_us_and_anothers_is_not(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    await charge(works, clock, line(700, network=Network.OFF_US))
    payer = await world.holder(works, khr=100_000)
    ours = await world.holder(works)

    async def show(work: Work) -> str:
        return await pay_me(work, ours.id, KHR, Money.khr(5_000))

    code = await works.read(SYSTEM, ACLEDA, show)
    assert "fee_minor" not in (await prepared(works, payer, code)).facts
    assert isinstance(await pay(works, teller, payer, code), Done)
    assert isinstance(await pay(works, teller, payer, code_of(clock)), Done)
    assert await income(works) == 700


async def test_the_first_of_a_month_are_free_in_both_currencies_together(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    await charge(works, clock, line(700, free=2), line(10, currency=USD, free=2))
    holder = await world.holder(works, khr=100_000, usd=10_00)
    dollars = code_of(clock, currency="840", amount="1.00")
    assert isinstance(await pay(works, teller, holder, dollars), Done)
    # two signed as free, but only one is left
    group = [await signed(works, holder, code_of(clock)) for _ in range(2)]
    assert reasons(await teller.ask_group(PAYING, ACLEDA, group)) == ["done", "conflict"]
    shown = await prepared(works, holder, code_of(clock))
    assert shown.facts["fee_minor"] == 700
    assert await income(works) == 0
    clock.advance(timedelta(days=20))  # February
    assert "fee_minor" not in (await prepared(works, holder, code_of(clock))).facts
    await assert_counters_right(works)


async def test_a_tier_has_its_own_fee(works: Works, teller: Teller, clock: TurnedClock) -> None:
    await charge(works, clock, line(900, tier=Tier.BASIC))
    basic, full = await world.people(works, 2, khr=100_000)
    await works.perform(
        SYSTEM, ACLEDA, lambda work: set_tier(work, basic.id, Tier.BASIC, reason="phone only")
    )
    group = [await signed(works, person, code_of(clock)) for person in (basic, full)]
    assert reasons(await teller.ask_group(PAYING, ACLEDA, group)) == ["done", "done"]
    assert await balance(works, ACLEDA, basic.khr) == 84_100
    assert await balance(works, ACLEDA, full.khr) == 85_000


# a card's fee


async def test_a_cards_fee_is_the_tables(works: Works, vault: Vault, clock: TurnedClock) -> None:
    counter = Counter(works, vault, clock, CardRules())
    person = await counter.person(usd=20_00)
    dear = line(500, function=Function.CARD, currency=USD, free=1)
    await put_in_force(works, clock, Sort.FEES, FeeSheet(lines=(dear,)))
    assert (await counter.prepare("card.create", person, currency="USD")).money is None
    free = await counter.prepare("card.create", person, currency="USD")
    assert reasons(await counter.authorise_all("card.create", [(person, free)])) == ["done"]
    second = await counter.prepare("card.create", person, currency="USD")
    assert second.money == Money.usd(500)
    assert second.facts["fee_minor"] == 500
    assert reasons(await counter.authorise_all("card.create", [(person, second)])) == ["done"]
    assert await balance(works, ACLEDA, person.holder.usd) == 15_00
    assert await income(works, "cards", USD) == 5_00
