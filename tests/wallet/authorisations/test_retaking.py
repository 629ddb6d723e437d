"""Returns that a network takes back, in whole or in part, as often as it likes."""

from typing import Any

from tests.wallet.authorisations.till import Till
from wallet.authorisations.messages import Kind, Message
from wallet.authorisations.states import Status
from wallet.money import Currency


async def bought(till: Till, minor: int, **more: Any) -> Message:
    message = await till.authorise(minor, **more)
    await till.done(till.message(Kind.CLEARING, minor, of=message, **more))
    return message


async def test_a_return_taken_back_is_taken_again_and_may_be_returned_anew(till: Till) -> None:
    await till.open(khr=100_000)
    first = await bought(till, 60_000)
    await till.done(till.message(Kind.RETURN, 60_000, of=first))
    assert await till.balance() == (100_000, 0)
    back = till.message(Kind.RETURN_REVERSAL, 25_000, of=first)
    for _ in range(2):  # the same message twice
        await till.done(back)
    assert await till.balance() == (75_000, 0)
    too_much = till.message(Kind.RETURN_REVERSAL, 35_001, of=first)
    assert await till.said(too_much) == "exceeds_original"
    await till.done(till.message(Kind.RETURN_REVERSAL, 35_000, of=first))
    assert await till.balance() == (40_000, 0)
    assert await till.owed(Currency.KHR) == 60_000
    nothing_left = till.message(Kind.RETURN_REVERSAL, 1, of=first)
    assert await till.said(nothing_left) == "exceeds_original"
    await till.done(till.message(Kind.RETURN, 60_000, of=first))
    assert await till.balance() == (100_000, 0)
    assert await till.status(first) is Status.SETTLED
    assert await till.cases() == []
    await till.prove()


async def test_what_the_wallet_has_spent_since_is_a_case(till: Till) -> None:
    await till.open(khr=60_000)
    first = await bought(till, 60_000)
    await till.done(till.message(Kind.RETURN, 60_000, of=first))
    await bought(till, 45_000)
    await till.done(till.message(Kind.RETURN_REVERSAL, 60_000, of=first))
    assert await till.balance() == (0, 0)
    assert await till.cases() == [("RETURN_REVERSED", 45_000, 45_000)]
    await till.done(till.message(Kind.RETURN, 60_000, of=first))
    assert await till.balance() == (15_000, 0)  # the rest goes to suspense, for what it stood in
    await till.prove()


async def test_dollars_come_back_and_go_again_at_the_rate_they_were_taken_at(till: Till) -> None:
    await till.rates()
    await till.open(khr=1_000_000, exchange=True)
    first = await bought(till, 1_000, currency=Currency.USD)
    paid = await till.balance()
    await till.done(till.message(Kind.RETURN, 333, of=first, currency=Currency.USD))
    await till.done(till.message(Kind.RETURN_REVERSAL, 333, of=first, currency=Currency.USD))
    assert await till.balance() == paid
    await till.prove()


async def test_a_return_of_nothing_we_know_is_taken_back_too(till: Till) -> None:
    await till.open(khr=10_000)
    gift = till.message(Kind.RETURN, 5_000)
    await till.done(gift)
    await till.done(till.message(Kind.RETURN_REVERSAL, 5_000, of=gift))
    assert await till.balance() == (10_000, 0)
    unknown = till.message(Kind.RETURN_REVERSAL, 1, of=till.message(Kind.RETURN, 1))
    assert await till.said(unknown) == "original_not_found"
    await till.prove()
