"""The fee of a top-up: shown, signed, held with the price and ended with it, or neither happens."""

import asyncio
from datetime import timedelta
from uuid import UUID

from tests import world
from tests.behind import rows_of_all_banks
from tests.desk import Desk, desk, hashing, throttle
from tests.wallet.disputes.counter import Counter
from tests.wallet.limits.steps import put_in_force
from tests.wallet.topups.shop import Shop, number, wish
from wallet.access.intents import Prepared
from wallet.disputes import closing
from wallet.disputes.cases import Cause
from wallet.fees import FeeLine, FeeSheet, Function
from wallet.identifiers import DisputeId, TopupId, TransferId
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Reason
from wallet.terms import Sort

__all__ = ["desk", "hashing", "throttle"]


async def charge(shop: Shop, fee_minor: int, free: int = 0) -> None:
    line = FeeLine(function=Function.TOPUP, currency=Currency.KHR, fee_minor=fee_minor, free=free)
    await put_in_force(shop.works, shop.clock, Sort.FEES, FeeSheet(lines=(line,)))


async def test_the_fee_is_shown_held_with_the_price_and_taken_with_the_airtime(shop: Shop) -> None:
    await charge(shop, 300)
    prepared = await shop.prepare(number(0))
    assert isinstance(prepared, Prepared)
    assert "for 5,000 KHR. Fee: 300 KHR. A wrong number" in prepared.text_en
    assert "ថ្លៃសេវា៖ ៣០០ រៀល។" in prepared.text_km
    assert prepared.facts["fee_minor"] == 300
    answer = await shop.sign(prepared)
    assert isinstance(answer, Done)
    assert (answer.answer["fee_minor"], answer.answer["available_minor"]) == (300, 94_700)
    assert await shop.wallet() == (100_000, 5_300)
    await shop.work_off()
    assert await shop.wallet() == (94_700, 0)
    assert await shop.house("fees", "topups") == 300


async def test_a_top_up_that_fails_costs_nothing(shop: Shop) -> None:
    await charge(shop, 300)
    topup_id = await shop.buy(number(81))
    await shop.wait(3_600)
    assert await shop.state(topup_id) == "FAILED"
    assert await shop.wallet() == (100_000, 0)
    assert await shop.house("fees", "topups") == 0


async def test_enough_for_the_price_but_not_for_its_fee_holds_neither(shop: Shop) -> None:
    await charge(shop, 300)
    poor = await world.holder(shop.works, khr=5_299)
    (prepared,) = await shop.prepare_all([(poor, wish(number(0)))])
    (answer,) = await shop.sign_all([(poor, prepared)])
    assert isinstance(answer, Declined)
    assert answer.reason is Reason.INSUFFICIENT_FUNDS
    assert answer.facts["available_minor"] == 5_299
    await world.fund(shop.works, "ACLEDA", poor.khr, Money.khr(1))
    (answer,) = await shop.sign_all([(poor, prepared)])
    assert isinstance(answer, Done)
    assert answer.answer["available_minor"] == 0


async def test_a_fee_changed_since_it_was_shown_is_neither_taken_nor_forgiven(shop: Shop) -> None:
    prepared = await shop.prepare(number(0))
    await charge(shop, 300)
    answer = await shop.sign(prepared)
    assert answer == Declined(reason=Reason.CONFLICT, facts={"fee_minor": 300})
    assert await shop.wallet() == (100_000, 0)


async def test_of_many_at_once_exactly_as_many_are_free_as_the_table_says(shop: Shop) -> None:
    """Each shown as free; three are, whichever; the others are told the fee and hold nothing."""
    await charge(shop, 300, free=3)
    prepared = [await shop.prepare(number(ending)) for ending in range(8)]
    assert all(isinstance(one, Prepared) and "fee_minor" not in one.facts for one in prepared)
    answers = await asyncio.gather(*(shop.sign(one) for one in prepared))
    assert sorted(type(one).__name__ for one in answers) == ["Declined"] * 5 + ["Done"] * 3
    assert {one.reason for one in answers if isinstance(one, Declined)} == {Reason.CONFLICT}


async def test_a_free_one_that_failed_is_free_again(shop: Shop) -> None:
    await charge(shop, 300, free=1)
    await shop.buy(number(81))
    await shop.wait(timedelta(hours=1).total_seconds())
    prepared = await shop.prepare(number(0))
    assert isinstance(prepared, Prepared)
    assert "fee_minor" not in prepared.facts


async def test_what_the_operator_takes_back_gives_the_fee_back_too(shop: Shop) -> None:
    await charge(shop, 300)
    topup_id = await shop.buy(number(86))
    await shop.wait(2 * 86_400)
    assert await shop.state(topup_id) == "REVERSED"
    assert await shop.wallet() == (100_000, 0)
    assert await shop.house("fees", "topups") == 0


async def disputed(shop: Shop, desk: Desk, topup_id: TopupId) -> tuple[Counter, DisputeId]:
    """A case about a top-up that the operator says was delivered."""
    await desk.enrol("dara")
    counter = Counter(desk, shop.holder, shop.holder)
    taken_by = (await shop.topup(topup_id)).resolved_by
    assert taken_by is not None
    opened = await counter.dispute(TransferId(taken_by), Cause.TOPUP_NOT_DELIVERED)
    return counter, DisputeId(UUID(opened["dispute_id"]))


async def test_the_refund_of_a_whole_price_gives_the_fee_back_too_and_says_so(
    shop: Shop, desk: Desk
) -> None:
    await charge(shop, 300)
    topup_id = await shop.buy(number(0))
    await shop.work_off()
    counter, case_id = await disputed(shop, desk, topup_id)
    assert (await counter.refund(case_id, 2_000))["state"] == "PAID"
    assert (await shop.wallet(), await shop.house("fees", "topups")) == ((96_700, 0), 300)
    assert (await counter.refund(case_id, 3_000))["state"] == "PAID"
    assert (await shop.wallet(), await shop.house("fees", "topups")) == ((100_000, 0), 0)
    told = await rows_of_all_banks(
        shop.database, "select body from events where kind = 'dispute.refunded' order by seq"
    )
    assert [row["body"]["fee"] for row in told] == [None, {"minor": 300, "currency": "KHR"}]
    case = await counter.case(case_id)
    assert (case.remaining_minor, case.recovered_minor) == (0, 5_000), "a fee is beside the price"


async def test_what_the_operator_takes_back_after_a_refund_gives_no_second_fee_back(
    shop: Shop, desk: Desk
) -> None:
    await charge(shop, 300)
    whole, part = await shop.buy(number(86)), await shop.buy(f"{number(86)[:-3]}786")
    await shop.work_off()
    counter, case_id = await disputed(shop, desk, whole)
    assert (await counter.refund(case_id, 5_000))["state"] == "PAID"
    _, case_id = await disputed_again(shop, counter, part)
    assert (await counter.refund(case_id, 1_000))["state"] == "PAID"
    before = await shop.wallet()
    await shop.wait(2 * 86_400)
    assert [await shop.state(one) for one in (whole, part)] == ["REVERSED", "REVERSED"]
    # of the second its fee alone comes: the rest of its price is a person's to look at
    assert await shop.wallet() == (before[0] + 300, 0)
    assert await shop.house("fees", "topups") == 0
    await counter.by("dara", lambda work: closing.close(work, case_id, "Taken back."))
    case = await counter.case(case_id)
    assert (case.recovered_minor, case.denied_minor) == (1_000, 4_000), "a fee is no price"


async def disputed_again(
    shop: Shop, counter: Counter, topup_id: TopupId
) -> tuple[Counter, DisputeId]:
    taken_by = (await shop.topup(topup_id)).resolved_by
    assert taken_by is not None
    opened = await counter.dispute(TransferId(taken_by), Cause.TOPUP_NOT_DELIVERED)
    return counter, DisputeId(UUID(opened["dispute_id"]))


async def test_a_refund_and_an_operator_at_once_give_one_fee_back(shop: Shop, desk: Desk) -> None:
    await charge(shop, 300)
    topup_id = await shop.buy(number(86))
    await shop.work_off()
    counter, case_id = await disputed(shop, desk, topup_id)
    shop.clock.advance(timedelta(days=2))
    await shop.telco.tick()
    await asyncio.gather(shop.work_off(), counter.refund(case_id, 5_000), return_exceptions=True)
    await shop.work_off()
    assert await shop.state(topup_id) == "REVERSED"
    assert (await shop.wallet(), await shop.house("fees", "topups")) == ((100_000, 0), 0)
