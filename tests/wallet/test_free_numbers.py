"""The last free one of a number, raced for by two processes with connections of their own."""

import asyncio
from collections import Counter as Tally
from collections.abc import AsyncIterator, Sequence

import pytest

from tests import world
from tests.wallet.cards.counter import Counter
from tests.wallet.ledger.books import assert_books_right
from tests.wallet.limits.steps import assert_counters_right, limit, put_in_force
from tests.wallet.qr_steps import ACLEDA, PAYING, code_of, reasons, signed
from wallet import topups
from wallet.access.intents import Asked, Consumed, Prepared
from wallet.cards import CardRules
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.fees import FeeLine, FeeSheet, Function
from wallet.identifiers import DeviceId, IntentId, new_id
from wallet.ledger.book import TransferKind
from wallet.limits import Rule, Window
from wallet.money import Currency
from wallet.outcomes import Declined, Done, GroupAnswer
from wallet.teller import Lane, Teller
from wallet.terms import Sort
from wallet.topups import Buy
from wallet.vault import Vault
from wallet.work import SYSTEM, Works

KHR, USD = Currency.KHR, Currency.USD
ROUNDS = 12
BUYING: Lane[Consumed] = Lane("test.topup", topups.BUY.authorise)


@pytest.fixture
async def elsewhere(database_url: str, clock: TurnedClock) -> AsyncIterator[Works]:
    """Another process: a pool and a memory of its own."""
    opened = await Database.connect(database_url, largest=12, statement_timeout_s=30)
    yield Works(opened, clock)
    await opened.close()


async def charge(works: Works, clock: TurnedClock, function: Function, free: int) -> None:
    lines = tuple(
        FeeLine(function=function, currency=currency, fee_minor=fee_minor, free=free)
        for currency, fee_minor in ((KHR, 700), (USD, 20))
    )
    await put_in_force(works, clock, Sort.FEES, FeeSheet(lines=lines))


async def at_once(
    lane: Lane[Consumed], tellers: Sequence[Teller], signed: Sequence[Consumed]
) -> list[GroupAnswer]:
    """Each to a process of its own, in the same moment."""
    return await asyncio.gather(
        *(tellers[i % len(tellers)].ask(lane, ACLEDA, one) for i, one in enumerate(signed))
    )


def assert_one_was_free(answers: Sequence[GroupAnswer]) -> None:
    """The others are told the fee, and nothing of them happened."""
    assert Tally(reasons(answers)) == {"done": 1, "conflict": len(answers) - 1}
    told = [one.facts["fee_minor"] for one in answers if isinstance(one, Declined)]
    assert all(told)
    assert not any("fee_minor" in one.answer for one in answers if isinstance(one, Done))


@pytest.mark.parametrize("used", [0, 1], ids=["the first", "the second"])
async def test_of_qr_payments_in_both_currencies_the_last_free_one_goes_to_one(
    works: Works, elsewhere: Works, clock: TurnedClock, used: int
) -> None:
    """Riel and dollars have no wallet's lock in common: the month's counter alone decides. Of the
    first there is no counter yet, so the race is for its row."""
    await charge(works, clock, Function.QR_PAYMENT, free=used + 1)
    tellers = [Teller(works), Teller(elsewhere)]
    for person in await world.people(works, ROUNDS, khr=100_000, usd=10_00):
        for _ in range(used):
            free = await signed(works, person, code_of(clock))
            assert reasons([await tellers[0].ask(PAYING, ACLEDA, free)]) == ["done"]
        dollars = code_of(clock, currency="840", amount="1.00")
        both = [await signed(works, person, code) for code in (code_of(clock), dollars)]
        assert_one_was_free(await at_once(PAYING, tellers, both))
    await assert_counters_right(works)
    await assert_books_right(works)


async def test_of_top_ups_the_last_free_one_goes_to_one(
    works: Works, elsewhere: Works, clock: TurnedClock
) -> None:
    await charge(works, clock, Function.TOPUP, free=1)
    tellers = [Teller(works), Teller(elsewhere)]
    for person in await world.people(works, ROUNDS, khr=100_000, usd=20_00):
        asked = [
            Asked(
                holder_id=person.id,
                device_id=DeviceId(new_id()),
                bank=ACLEDA,
                language="km",
                fields=Buy(phone=phone, amount=amount, currency=currency),
            )
            for phone, amount, currency in (
                ("012 345 600", "5000", KHR),
                ("012 345 601", "5", USD),
                ("012 345 602", "5000", KHR),
            )
        ]
        shown = await works.perform(
            SYSTEM, ACLEDA, lambda work, a=asked: topups.BUY.prepare(work, a)
        )
        consumed = [_consumed(works, one, what) for one, what in zip(asked, shown, strict=True)]
        assert_one_was_free(await at_once(BUYING, tellers, consumed))
    await assert_counters_right(works)
    await assert_books_right(works)


def _consumed(works: Works, asked: Asked, shown: object) -> Consumed:
    assert isinstance(shown, Prepared), shown
    assert "fee_minor" not in shown.facts
    return Consumed(
        intent_id=IntentId(new_id()),
        holder_id=asked.holder_id,
        device_id=asked.device_id,
        device_key=b"",
        bank=ACLEDA,
        money=shown.money,
        payee=shown.payee,
        plan=shown.plan,
        now=works.clock.now(),
    )


async def test_of_cards_the_last_free_one_goes_to_one(
    works: Works, elsewhere: Works, vault: Vault, clock: TurnedClock
) -> None:
    await charge(works, clock, Function.CARD, free=1)
    counters = [Counter(one, vault, clock, CardRules()) for one in (works, elsewhere)]
    for _ in range(ROUNDS // 2):
        person = await counters[0].person(usd=20_00)
        shown = [await counters[0].prepare("card.create", person, currency="USD") for _ in "ab"]
        assert all(one.money is None for one in shown)
        answers = await asyncio.gather(
            *(
                counter.authorise_all("card.create", [(person, one)])
                for counter, one in zip(counters, shown, strict=True)
            )
        )
        assert_one_was_free([answer for (answer,) in answers])
    await assert_books_right(works)


@pytest.mark.parametrize("both", [False, True], ids=["of a currency", "over both"])
async def test_the_last_one_that_a_limit_allows_goes_to_one(
    works: Works, elsewhere: Works, clock: TurnedClock, both: bool
) -> None:
    """A number of acts a day: whichever process, whichever currency where it is over both."""
    rule = Rule(
        window=Window.DAY, currency=KHR, both=both, most_count=1, kind=TransferKind.QR_PAYMENT
    )
    await limit(works, clock, rule)
    tellers = [Teller(works, grouping=False), Teller(elsewhere, grouping=False)]
    for person in await world.people(works, ROUNDS, khr=100_000, usd=10_00):
        dollars = code_of(clock, currency="840", amount="1.00")
        codes = [code_of(clock), dollars if both else code_of(clock)]
        wanted = [await signed(works, person, code) for code in codes]
        answers = await at_once(PAYING, tellers, wanted)
        assert Tally(reasons(answers)) == {"done": 1, "limit_exceeded": 1}
    await assert_counters_right(works)
    await assert_books_right(works)
