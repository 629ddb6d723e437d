"""Money and number: windows, null and nothing, giving back, groups, and 200 at once."""

import pytest

from tests import world
from tests.wallet.controls.steps import (
    Buy,
    buy,
    later,
    put_card,
    said,
)
from tests.wallet.limits.steps import assert_counters_right
from tests.world import WorldHolder
from wallet.controls import ControlSheet, Spend
from wallet.identifiers import CardId, new_id
from wallet.limits import Window
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import Works

KHR, USD = Currency.KHR, Currency.USD


@pytest.fixture
async def holder(works: Works) -> WorldHolder:
    return await world.holder(works, khr=10_000_000, usd=1_000_00)


@pytest.fixture
def one(holder: WorldHolder) -> Buy:
    return Buy(holder=holder, card_id=CardId(new_id()), money=Money.khr(100))


def amounts(*rules: Spend) -> ControlSheet:
    return ControlSheet(spend=rules)


async def test_a_group_sees_what_was_counted_before_in_it(works: Works, one: Buy) -> None:
    await put_card(
        works, one.card_id, amounts(Spend(window=Window.DAY, currency=KHR, most_minor=250))
    )
    answers = await buy(works, one, later(one), later(one), later(one, money=Money.khr(50)))
    assert said(answers) == ["held", "held", "limit_exceeded", "held"]
    declined = answers[2]
    assert isinstance(declined, Declined)
    assert declined.facts["set_by"] == "card"
    assert (declined.facts["limit"], declined.facts["left_minor"]) == ("day", 50)
    await assert_counters_right(works)
