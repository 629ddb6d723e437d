"""Top-ups count against their holder's limits from the hold on, and no longer when it is undone."""

from datetime import timedelta

from tests.wallet.limits.steps import limit
from tests.wallet.topups.shop import Shop, number
from wallet.limits import Rule, Window
from wallet.money import Currency
from wallet.outcomes import Declined, Reason, Refused


async def limit_to(shop: Shop, most_minor: int) -> None:
    day = Rule(window=Window.DAY, currency=Currency.KHR, most_minor=most_minor)
    await limit(shop.works, shop.clock, day)


async def left(shop: Shop, phone: str) -> object:
    """What a refusal at the showing says is left; all of it where there is none."""
    shown = await shop.prepare(phone)
    if not isinstance(shown, Refused):
        return "enough"
    assert shown.reason is Reason.LIMIT_EXCEEDED
    return shown.facts["left_minor"]


async def test_a_top_up_counts_when_its_price_is_held_and_says_what_is_left(shop: Shop) -> None:
    await limit_to(shop, 8_000)
    both = [await shop.prepare(number(n)) for n in (0, 1)]
    first, second = await shop.sign_all([(shop.holder, one) for one in both])
    assert first.answer["limit_left_minor"] == 3_000  # type: ignore[union-attr]
    assert isinstance(second, Declined)
    assert (second.reason, second.facts["left_minor"]) == (Reason.LIMIT_EXCEEDED, 3_000)
    assert await left(shop, number(2)) == 3_000
    await shop.work_off()
    assert await left(shop, number(2)) == 3_000  # delivered, it counts on


async def test_one_that_failed_gives_back_what_it_counted(shop: Shop) -> None:
    await limit_to(shop, 8_000)
    await shop.buy(number(81))
    assert await left(shop, number(1)) == 3_000
    await shop.work_off()
    assert await left(shop, number(1)) == "enough"


async def test_one_whose_hold_expired_gives_back_to_the_day_it_was_held(shop: Shop) -> None:
    month = Rule(window=Window.MONTH, currency=Currency.KHR, most_minor=8_000)
    await limit(shop.works, shop.clock, month)
    await shop.buy(number(83))
    await shop.work_off()
    shop.clock.advance(timedelta(hours=73))
    assert await left(shop, number(1)) == 3_000
    assert await shop.expire_holds() == 1
    assert await left(shop, number(1)) == "enough"
    await shop.work_off()
    assert await left(shop, number(1)) == "enough"
