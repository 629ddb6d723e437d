"""An approval that its shop never heard of leaves no mark on the card; every other one does."""

from datetime import timedelta
from typing import Any

import pytest

from tests.wallet.authorisations.till import CAFE, SHOP, SOON, Till
from wallet.authorisations.messages import Kind, Message
from wallet.cards import changing
from wallet.work import SYSTEM, Work


async def unheard(till: Till, minor: int = 10_000, **more: Any) -> Message:
    """A purchase that is approved, and answered after its deadline."""
    message = till.message(Kind.AUTHORIZATION, minor, deadline=till.clock.now() + SOON, **more)
    till.slow_by(timedelta(seconds=6))
    assert await till.said(message) == "answer_too_late"
    till.slow_by(timedelta(0))
    return message


async def acts(till: Till) -> list[str]:
    async def read(work: Work) -> list[str]:
        history = await changing.history_of(work, till.card_id)
        return [step["act"] for step in history]

    return await till.works.read(SYSTEM, till.person.holder.bank, read)


async def test_a_single_use_card_pays_at_the_next_try(till: Till) -> None:
    await till.open(khr=100_000, kind="single_use")
    await unheard(till)
    assert (await acts(till))[-2:] == ["card.spent", "card.unspent"]
    bought = await till.authorise(10_000, merchant=SHOP)
    assert await till.said(till.message(Kind.AUTHORIZATION, 1_000)) == "card_spent"
    # what the network takes back the shop had heard of: the card stays closed (decision 41)
    await till.done(till.message(Kind.REVERSAL, of=bought))
    assert await till.said(till.message(Kind.AUTHORIZATION, 1_000)) == "card_spent"
    await till.prove()


async def test_it_stays_closed_where_its_holder_has_filled_its_place_meanwhile(
    till: Till,
) -> None:
    await till.open(khr=1_000_000, kind="single_use")
    for _ in range(4):
        await till.cards.card(till.person, "KHR")
    message = till.message(Kind.AUTHORIZATION, 10_000, deadline=till.clock.now() + SOON)
    await till.serve([message])
    await till.cards.card(till.person, "KHR")
    till.slow_by(timedelta(seconds=6))
    assert await till.said(message) == "answer_too_late"
    till.slow_by(timedelta(0))
    assert await till.said(till.message(Kind.AUTHORIZATION, 1_000)) == "card_spent"
    assert (await till.balance())[1] == 0


@pytest.mark.parametrize("kind", ["merchant_locked", "recurring"])
async def test_a_lock_that_only_it_put_on_comes_off(till: Till, kind: str) -> None:
    await till.open(khr=100_000, kind=kind)
    recurring = kind == "recurring"
    await unheard(till, recurring=recurring)
    await till.authorise(1_000, merchant=SHOP, recurring=recurring)
    other = till.message(Kind.AUTHORIZATION, 1_000, merchant=CAFE, recurring=recurring)
    assert await till.said(other) == "card_merchant_locked"


async def test_a_lock_that_another_approval_stands_under_stays(till: Till) -> None:
    await till.open(khr=100_000, kind="merchant_locked")
    first = till.message(Kind.AUTHORIZATION, 1_000, deadline=till.clock.now() + SOON)
    await till.serve([first])
    await till.authorise(2_000)
    till.slow_by(timedelta(seconds=6))
    assert await till.said(first) == "answer_too_late"
    till.slow_by(timedelta(0))
    other = till.message(Kind.AUTHORIZATION, 1_000, merchant=SHOP)
    assert await till.said(other) == "card_merchant_locked"


async def test_a_lock_to_a_named_shop_stays(till: Till) -> None:
    named = {"id": CAFE.id, "name": CAFE.name}
    await till.open(khr=100_000, kind="merchant_locked", merchant=named)
    await unheard(till)
    other = till.message(Kind.AUTHORIZATION, 1_000, merchant=SHOP)
    assert await till.said(other) == "card_merchant_locked"
