"""From what the holder typed to money held: story A5 and its bad cases."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from tests import world
from tests.phones import Pocket
from tests.wallet.topups.shop import Shop, number, wish
from wallet.access import policy
from wallet.access.intents import Prepared
from wallet.identifiers import TopupId
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, GroupAnswer, Reason, Refused
from wallet.topups.buying import BUY, draft_of
from wallet.vault import Vault


async def test_the_holder_sees_operator_number_price_and_airtime_before_confirming(
    shop: Shop,
) -> None:
    prepared = await shop.prepare("០១០ ២៣៤ ៥៦៧")
    assert isinstance(prepared, Prepared)
    assert prepared.text_en == (
        "Top up Smart 010 234 567 with 1.25 USD of airtime for 5,000 KHR. "
        "A wrong number cannot be refunded."
    )
    assert "Smart លេខ 010 234 567 ចំនួន ១.២៥ ដុល្លារ តម្លៃ ៥,០០០ រៀល" in prepared.text_km
    assert prepared.money == Money.khr(5_000)
    assert prepared.payee == "Smart +85510234567"
    assert prepared.facts["delivered_minor"] == 125


async def test_signing_holds_the_price_and_leaves_one_job(shop: Shop) -> None:
    topup_id = await shop.buy(number(0))
    assert await shop.state(topup_id) == "HELD"
    assert await shop.wallet() == (100_000, 5_000)
    assert len(await shop.database.rows("select 1 from jobs where name = 'topup.submit'")) == 1


async def test_the_answer_masks_the_number_and_tells_what_is_left(shop: Shop) -> None:
    answer = await shop.sign(await shop.prepare("010 234 567"))
    assert isinstance(answer, Done)
    assert answer.answer["phone"] == "010 ••• 567"
    assert answer.answer["available_minor"] == 95_000
    assert "234" not in str(answer.answer["phone"])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"phone": "019 234 567"}, Reason.OPERATOR_UNKNOWN),
        ({"phone": "091 234 567"}, Reason.OPERATOR_UNKNOWN),
        ({"phone": "031 234 567"}, Reason.PHONE_INVALID),
        ({"phone": "011 234 5678"}, Reason.PHONE_INVALID),
        ({"phone": "not a number"}, Reason.PHONE_INVALID),
        ({"operator": "VODAFONE"}, Reason.OPERATOR_UNKNOWN),
        ({"phone": "013 234 567"}, Reason.PRODUCT_UNKNOWN),
        ({"product": "CELLCARD-KHR-7000"}, Reason.PRODUCT_UNKNOWN),
        ({"product": "SMART-KHR-5000"}, Reason.PRODUCT_UNKNOWN),
        ({"product": "CELLCARD-USD"}, Reason.PRODUCT_UNKNOWN),
        ({"amount": "5000.5"}, Reason.AMOUNT_INVALID),
        ({"amount": "5,000"}, Reason.AMOUNT_INVALID),
        ({"amount": "៥០០០"}, Reason.AMOUNT_INVALID),
        ({"amount": "-5000"}, Reason.AMOUNT_INVALID),
        ({"amount": "0"}, Reason.AMOUNT_INVALID),
        ({"amount": "1e4"}, Reason.AMOUNT_INVALID),
        ({"amount": "1.255", "currency": Currency.USD}, Reason.AMOUNT_INVALID),
        ({"amount": "5001"}, Reason.AMOUNT_OUT_OF_RANGE),
        ({"amount": "0.99", "currency": Currency.USD}, Reason.AMOUNT_OUT_OF_RANGE),
        ({"amount": "100.01", "currency": Currency.USD}, Reason.AMOUNT_OUT_OF_RANGE),
    ],
)
def test_what_cannot_be_bought_is_refused_before_anything_is_signed(
    fields: dict[str, Any], reason: Reason
) -> None:
    with pytest.raises(Refused) as refused:
        draft_of(wish(**{"phone": number(0), **fields}))
    assert refused.value.reason is reason


def test_bounds_are_told_with_the_refusal() -> None:
    with pytest.raises(Refused) as refused:
        draft_of(wish(number(0), amount="1000", currency=Currency.USD))
    assert refused.value.facts == {
        "smallest_minor": 100,
        "largest_minor": 10_000,
        "currency": "USD",
    }


def test_the_holder_may_overrule_the_prefix() -> None:
    assert draft_of(wish("019 234 567", operator="SMART")).plan.operator == "SMART"


async def test_one_bad_wish_in_a_group_costs_the_others_nothing(shop: Shop) -> None:
    answers = await shop.prepare_all(
        [(shop.holder, wish("nonsense")), (shop.holder, wish(number(0)))]
    )
    assert isinstance(answers[0], Refused)
    assert isinstance(answers[1], Prepared)


async def test_without_the_money_nothing_is_held_and_nothing_sent(shop: Shop) -> None:
    answer = await shop.sign(await shop.prepare(number(0), amount="51", currency=Currency.USD))
    assert isinstance(answer, Declined)
    assert answer.reason is Reason.INSUFFICIENT_FUNDS
    assert await shop.database.rows("select 1 from jobs") == []
    assert await shop.wallet(Currency.USD) == (5_000, 0)


async def test_signed_by_a_phone_it_goes_through_once_and_a_repeat_gets_the_same_answer(
    shop: Shop, vault: Vault
) -> None:
    pocket = await Pocket(shop.works, shop.teller, vault, shop.holder).pair()
    shown = await pocket.prepare(BUY, wish(number(0)))
    answers = [await pocket.authorise(BUY, shown) for _ in range(3)]
    assert isinstance(answers[0], Done)
    assert answers == [answers[0]] * 3
    await shop.work_off()
    topup_id = TopupId(UUID(shown["id"]))
    assert await shop.state(topup_id) == "SUCCEEDED"
    assert shop.delivered(topup_id) == 1
    assert await shop.wallet() == (95_000, 0)


# The same number and product within a minute


async def test_a_second_tap_within_a_minute_asks_first(shop: Shop) -> None:
    await shop.buy(number(0))
    refused = await shop.prepare(number(0))
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.facts["within_s"]) == (Reason.REPEAT_TOPUP, 60)
    assert isinstance(await shop.prepare(number(0), confirm_repeat=True), Prepared)
    assert isinstance(await shop.prepare(number(0), amount="10000"), Prepared)
    assert isinstance(await shop.prepare(number(1)), Prepared)
    await shop.wait(60)
    assert isinstance(await shop.prepare(number(0)), Prepared)


async def test_a_failed_one_may_be_tried_again_at_once(shop: Shop) -> None:
    await shop.buy(number(81))
    await shop.work_off()
    assert isinstance(await shop.prepare(number(81)), Prepared)


async def test_two_prepared_before_either_was_signed_are_caught_at_the_signature(
    shop: Shop,
) -> None:
    first, second = await shop.prepare(number(0)), await shop.prepare(number(0))
    assert isinstance(await shop.sign(first), Done)
    refused = await shop.sign(second)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.REPEAT_TOPUP
    assert await shop.wallet() == (100_000, 5_000)


@pytest.mark.parametrize("together", [True, False], ids=["one group", "two transactions"])
async def test_two_signatures_at_the_same_moment_hold_once(shop: Shop, together: bool) -> None:
    both = [await shop.prepare(number(0)), await shop.prepare(number(0))]
    answers: list[GroupAnswer]
    if together:
        answers = list(await shop.sign_all([(shop.holder, one) for one in both]))
    else:
        answers = list(await asyncio.gather(*(shop.sign(one) for one in both)))
    assert sorted(type(answer).__name__ for answer in answers) == ["Done", "Refused"]
    assert await shop.wallet() == (100_000, 5_000)


async def test_people_do_not_stand_in_each_others_way(shop: Shop) -> None:
    other = await world.holder(shop.works, khr=5_000)
    wishes = [(shop.holder, wish(number(0))), (other, wish(number(0)))]
    prepared = await shop.prepare_all(wishes)
    answers = await shop.sign_all(list(zip([shop.holder, other], prepared, strict=True)))
    assert [type(answer) for answer in answers] == [Done, Done]


async def test_a_number_topped_up_before_is_marked_so(shop: Shop) -> None:
    new = await shop.prepare(number(0))
    await shop.buy(number(0))
    await shop.work_off()
    recent = await shop.prepare(number(0), confirm_repeat=True)
    assert isinstance(new, Prepared)
    assert isinstance(recent, Prepared)
    assert (new.facts["number"], recent.facts["number"]) == ("new", "recent")


def test_a_code_is_asked_for_above_twenty_dollars() -> None:
    assert not policy.shipped().of("topup.buy").asks(Money.usd(2_000))
    assert policy.shipped().of("topup.buy").asks(Money.usd(2_001))
    assert policy.shipped().of("topup.buy").asks(Money.khr(80_001))
