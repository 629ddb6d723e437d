"""A purchase from its first message to its last: what is held, taken, given back, and told."""

from datetime import timedelta

import pytest

from tests.wallet.authorisations.till import ABROAD, CAFE, SOON, Till, reason
from wallet.authorisations.messages import Kind
from wallet.authorisations.states import Status
from wallet.money import Currency
from wallet.outcomes import Declined, Done, Reason


async def test_an_authorisation_holds_and_its_clearing_takes(till: Till) -> None:
    await till.open(khr=100_000)
    bought = await till.authorise(30_000)
    assert await till.balance() == (100_000, 30_000)
    assert await till.status(bought) is Status.PENDING
    answer = await till.done(till.message(Kind.CLEARING, 30_000, of=bought))
    assert (answer["status"], answer["available_minor"]) == ("SETTLED", 70_000)
    assert await till.balance() == (70_000, 0)
    assert await till.owed(Currency.KHR) == 30_000
    assert [event.kind for event in await till.events(bought)] == [
        Kind.AUTHORIZATION,
        Kind.CLEARING,
    ]
    assert await till.cases() == []
    await till.prove()


async def test_what_is_held_is_not_there_for_the_next_blnk_181(till: Till) -> None:
    await till.open(khr=50_000)
    said = [await till.said(till.message(Kind.AUTHORIZATION, 10_000)) for _ in range(6)]
    assert said == ["ok"] * 5 + ["insufficient_funds"]
    await till.prove()


async def test_a_declined_purchase_is_never_taken_by_its_own_key_blnk_182(till: Till) -> None:
    """What is presented for it all the same is a case, and takes nothing the wallet has not."""
    await till.open(khr=5_000)
    bought = till.message(Kind.AUTHORIZATION, 10_000)
    assert reason(await till.ask(bought)) is Reason.INSUFFICIENT_FUNDS
    assert await till.status(bought) is Status.DECLINED
    await till.done(till.message(Kind.CLEARING, 10_000, of=bought))
    assert await till.balance() == (0, 0)
    assert await till.cases() == [("NO_AUTHORIZATION", 10_000, 5_000)]
    await till.prove()


async def test_an_increment_replaces_the_hold_and_a_refused_one_leaves_it(till: Till) -> None:
    await till.open(khr=100_000)
    bought = await till.authorise(30_000)
    await till.done(till.message(Kind.INCREMENT, 20_000, of=bought))
    assert await till.balance() == (100_000, 50_000)
    too_much = till.message(Kind.INCREMENT, 60_000, of=bought)
    assert await till.said(too_much) == "insufficient_funds"
    assert await till.balance() == (100_000, 50_000)
    await till.done(till.message(Kind.CLEARING, 50_000, of=bought))
    assert await till.balance() == (50_000, 0)
    assert await till.cases() == []
    await till.prove()


async def test_increments_do_not_slip_a_purchase_past_the_limit_on_one(till: Till) -> None:
    await till.open(khr=100_000, per_use_limit_minor=40_000)
    bought = await till.authorise(30_000)
    more = till.message(Kind.INCREMENT, 20_000, of=bought)
    assert await till.said(more) == "limit_exceeded"
    assert await till.said(till.message(Kind.INCREMENT, 10_000, of=bought)) == "ok"
    await till.prove()


async def test_an_advice_tells_the_new_total_and_may_come_twice(till: Till) -> None:
    await till.open(khr=100_000)
    bought = await till.authorise(50_000)
    advice = till.message(Kind.ADVICE, 20_000, of=bought)
    first, again = await till.ask(advice), await till.ask(advice)
    assert first == again
    assert await till.balance() == (100_000, 20_000)
    await till.done(till.message(Kind.ADVICE, 20_000, of=bought))
    assert await till.balance() == (100_000, 20_000)
    await till.prove()


async def test_an_advice_that_raises_is_taken_and_looked_at(till: Till) -> None:
    await till.open(khr=100_000)
    bought = await till.authorise(50_000)
    await till.done(till.message(Kind.ADVICE, 130_000, of=bought))
    assert await till.balance() == (100_000, 100_000)
    assert await till.cases() == [("ADVICE_RAISED", 80_000, 0)]
    await till.prove()


async def test_a_stand_in_is_taken_as_told_as_far_as_the_wallet_goes(till: Till) -> None:
    await till.open(khr=60_000)
    told = till.message(Kind.ADVICE, 100_000, stand_in=True)
    await till.done(told)
    assert await till.balance() == (60_000, 60_000)
    assert await till.cases() == [("STAND_IN", 40_000, 0)]
    await till.done(till.message(Kind.CLEARING, 100_000, of=told))
    assert await till.balance() == (0, 0)
    assert [case[0] for case in await till.cases()] == ["STAND_IN", "INSUFFICIENT_FUNDS"]
    await till.prove()


async def test_a_part_is_approved_where_the_shop_takes_one(till: Till) -> None:
    await till.open(khr=25_000)
    bought = till.message(Kind.AUTHORIZATION, 40_000, partial_ok=True)
    answer = await till.done(bought)
    assert (answer["approved_minor"], answer["asked_minor"]) == (25_000, 40_000)
    assert await till.balance() == (25_000, 25_000)
    nothing = till.message(Kind.AUTHORIZATION, 1_000, partial_ok=True)
    assert await till.said(nothing) == "insufficient_funds"
    await till.prove()


async def test_a_financial_message_takes_at_once_and_its_reversal_gives_back(till: Till) -> None:
    await till.open(khr=50_000)
    bought = till.message(Kind.FINANCIAL, 20_000)
    assert (await till.done(bought))["status"] == "SETTLED"
    assert await till.balance() == (30_000, 0)
    await till.done(till.message(Kind.REVERSAL, of=bought))
    await till.done(till.message(Kind.REVERSAL, of=bought))
    assert await till.balance() == (50_000, 0)
    assert await till.owed(Currency.KHR) == 0
    await till.prove()


async def test_a_reversal_releases_once_and_in_part_says_what_is_left(till: Till) -> None:
    await till.open(khr=100_000)
    bought = await till.authorise(60_000)
    assert await till.said(till.message(Kind.REVERSAL, 60_000, of=bought)) == "exceeds_original"
    await till.done(till.message(Kind.REVERSAL, 25_000, of=bought))
    assert await till.balance() == (100_000, 25_000)
    await till.done(till.message(Kind.REVERSAL, of=bought))
    await till.done(till.message(Kind.REVERSAL, of=bought))
    assert await till.balance() == (100_000, 0)
    assert await till.status(bought) is Status.VOIDED
    assert await till.said(till.message(Kind.REVERSAL, 5_000, of=bought)) == "not_reversible"
    assert len(await till.told("purchase.released")) == 2
    await till.prove()


async def test_a_reversal_before_its_original_stands_in_its_place(till: Till) -> None:
    await till.open(khr=100_000)
    bought = till.message(Kind.AUTHORIZATION, 60_000)
    await till.done(till.message(Kind.REVERSAL, of=bought))
    assert await till.said(bought) == "reversed_first"
    assert await till.said(bought) == "reversed_first"
    assert await till.balance() == (100_000, 0)
    await till.prove()


async def test_a_reversal_never_fails_for_a_frozen_or_closed_card(till: Till) -> None:
    await till.open(khr=100_000)
    bought = await till.authorise(60_000)
    await till.freeze()
    assert await till.said(till.message(Kind.AUTHORIZATION, 1_000)) == "card_frozen"
    await till.done(till.message(Kind.REVERSAL, of=bought))
    assert await till.balance() == (100_000, 0)
    await till.prove()


async def test_time_runs_out_exactly_and_what_is_presented_later_is_late(till: Till) -> None:
    await till.open(khr=100_000)
    bought = await till.authorise(40_000, lasts=timedelta(hours=1))
    till.clock.advance(timedelta(hours=1) - timedelta(microseconds=1))
    assert await till.status(bought) is Status.PENDING
    till.clock.advance(timedelta(microseconds=1))
    assert await till.status(bought) is Status.EXPIRED
    assert await till.said(till.message(Kind.INCREMENT, 1_000, of=bought)) == "hold_expired"
    await till.done(till.message(Kind.CLEARING, 40_000, of=bought))
    assert await till.balance() == (60_000, 0)
    assert await till.cases() == [("LATE_PRESENTMENT", 40_000, 0)]
    await till.prove()


async def test_a_return_gives_back_what_was_taken_and_never_more(till: Till) -> None:
    await till.open(khr=100_000)
    bought = await till.authorise(40_000)
    await till.done(till.message(Kind.CLEARING, 40_000, of=bought))
    await till.done(till.message(Kind.RETURN, 15_000, of=bought))
    assert await till.balance() == (75_000, 0)
    assert await till.said(till.message(Kind.RETURN, 25_001, of=bought)) == "exceeds_original"
    await till.done(till.message(Kind.RETURN, 25_000, of=bought))
    assert await till.said(till.message(Kind.RETURN, 1, of=bought)) == "already_reversed"
    assert await till.balance() == (100_000, 0)
    assert await till.status(bought) is Status.SETTLED
    await till.prove()


async def test_a_return_of_nothing_we_know_is_credited(till: Till) -> None:
    await till.open(khr=1_000)
    back = till.message(Kind.RETURN, 9_000)
    await till.done(back)
    assert await till.balance() == (10_000, 0)
    assert await till.status(back) is Status.SETTLED
    await till.prove()


async def test_what_suspense_paid_comes_back_to_suspense_last(till: Till) -> None:
    await till.open(khr=10_000)
    forced = till.message(Kind.FORCE_POST, 30_000)
    await till.done(forced)
    assert await till.cases() == [("FORCE_POST", 30_000, 20_000)]
    await till.done(till.message(Kind.RETURN, 15_000, of=forced))
    assert await till.balance() == (10_000, 0)
    await till.done(till.message(Kind.RETURN, 15_000, of=forced))
    assert await till.balance() == (10_000, 0)
    await till.prove()


async def test_a_balance_is_told_and_nothing_is_held(till: Till) -> None:
    await till.open(khr=12_345, daily_limit_minor=7_000)
    asked = till.message(Kind.BALANCE_INQUIRY)
    told = await till.done(asked)
    assert (told["available_minor"], told["limit_left_minor"]) == (12_345, 7_000)
    assert told["limit_left_count"] == 30
    assert await till.balance() == (12_345, 0)
    await till.freeze()
    assert await till.said(till.message(Kind.BALANCE_INQUIRY)) == "card_frozen"
    await till.prove()


async def test_a_check_of_nothing_is_allowed_and_counts_nothing(till: Till) -> None:
    await till.open(khr=0, kind="single_use")
    check = till.message(Kind.AUTHORIZATION, 0)
    assert (await till.done(check))["approved_minor"] == 0
    assert await till.status(check) is Status.SETTLED
    assert await till.said(till.message(Kind.AUTHORIZATION, 1)) == "insufficient_funds"
    await till.prove()


async def test_dollars_on_a_riel_card_at_the_rate_shown_and_not_a_riel_more(till: Till) -> None:
    await till.rates()
    await till.open(khr=1_000_000, exchange=True)
    bought = till.message(Kind.AUTHORIZATION, 10_01, currency=Currency.USD, merchant=CAFE)
    answer = await till.done(bought)
    # 10.01 dollars at 4,100 are 41,041; the bank keeps a hundredth: 410.41
    assert answer["cardholder_minor"] == 41_452
    assert (answer["rate_hundredths"], answer["spread_bps"]) == (410_000, 100)
    assert await till.balance() == (1_000_000, 41_452)
    for part, final in ((3_33, False), (3_33, False), (3_35, True)):
        clearing = till.message(Kind.CLEARING, part, of=bought, currency=Currency.USD, final=final)
        await till.done(clearing)
        await till.prove()
    assert await till.balance() == (1_000_000 - 41_452, 0)
    assert await till.owed(Currency.USD) == 10_01
    assert await till.cases() == []
    await till.done(till.message(Kind.RETURN, 10_01, of=bought, currency=Currency.USD))
    assert await till.balance() == (1_000_000, 0)
    assert await till.owed(Currency.USD) == 0
    await till.prove()


async def test_another_currency_is_declined_without_its_holders_consent(till: Till) -> None:
    await till.open(khr=1_000_000)
    dollars = till.message(Kind.AUTHORIZATION, 10_00, currency=Currency.USD)
    assert await till.said(dollars) == "card_currency_differs"
    await till.prove()


async def test_the_same_message_has_one_effect_and_the_same_bytes(till: Till) -> None:
    await till.open(khr=100_000)
    bought = till.message(Kind.AUTHORIZATION, 30_000)
    first = await till.ask(bought)
    [event] = await till.events(bought)
    till.clock.advance(timedelta(minutes=3))
    assert await till.ask(bought) == first
    [again] = await till.events(bought)
    assert again.answer == event.answer
    assert await till.balance() == (100_000, 30_000)


@pytest.mark.parametrize("field", ["money", "merchant", "kind"])
async def test_one_key_with_other_content_is_its_own_reason_fineract_2485(
    till: Till, field: str
) -> None:
    await till.open(khr=100_000)
    bought = await till.authorise(30_000)
    other = {
        "money": till.message(Kind.AUTHORIZATION, 30_001, key=bought.key),
        "merchant": till.message(Kind.AUTHORIZATION, 30_000, key=bought.key, merchant=ABROAD),
        "kind": till.message(Kind.FINANCIAL, 30_000, key=bought.key),
    }[field]
    assert await till.said(other) == "message_differs"
    assert await till.balance() == (100_000, 30_000)
    assert len(await till.events(bought)) == 1


async def test_a_request_that_is_too_late_is_declined_and_holds_nothing(till: Till) -> None:
    await till.open(khr=100_000)
    late = till.message(Kind.AUTHORIZATION, 30_000, deadline=till.clock.now())
    assert await till.said(late) == "answer_too_late"
    assert await till.balance() == (100_000, 0)
    await till.done(till.message(Kind.REVERSAL, of=late))
    await till.prove()


async def test_an_answer_that_comes_too_late_is_undone_in_the_same_step_marqeta(
    till: Till,
) -> None:
    """Trap 5: Marqeta approves at 3.1 s what was declined at 3.0.
    Marqeta warns of approving at 3.1 s what the network gave up at 3: ours is undone at once,
    and whoever asks again hears the decline."""
    await till.open(khr=100_000)
    bought = till.message(Kind.AUTHORIZATION, 30_000, deadline=till.clock.now() + SOON)
    till.slow_by(timedelta(seconds=6))
    assert await till.said(bought) == "answer_too_late"
    assert await till.balance() == (100_000, 0)
    assert await till.status(bought) is Status.VOIDED
    assert await till.said(bought) == "answer_too_late"
    outcome = await till.ask(till.message(Kind.REVERSAL, of=bought))
    assert isinstance(outcome, Done)
    assert isinstance(await till.ask(bought), Declined)
    await till.prove()


async def test_an_increment_that_is_answered_too_late_takes_back_itself_alone(till: Till) -> None:
    await till.open(khr=100_000)
    bought = await till.authorise(30_000)
    more = till.message(Kind.INCREMENT, 20_000, of=bought, deadline=till.clock.now() + SOON)
    till.slow_by(timedelta(seconds=6))
    assert [await till.said(more), await till.said(more)] == ["answer_too_late"] * 2
    assert await till.balance() == (100_000, 30_000)
    assert await till.status(bought) is Status.PENDING
    till.slow_by(timedelta(0))
    await till.done(till.message(Kind.CLEARING, 30_000, of=bought))
    assert await till.cases() == []
    await till.prove()


async def test_a_card_that_is_nobodys_is_declined_and_remembered(till: Till) -> None:
    await till.open(khr=100_000)
    unknown = till.message(Kind.AUTHORIZATION, 1_000, card_id=None, number_index=b"nobody's")
    assert await till.said(unknown) == "card_unknown"
    assert await till.said(unknown) == "card_unknown"
    assert await till.said(till.message(Kind.CLEARING, 1_000, of=unknown)) == "card_unknown"
    await till.prove()


async def test_a_new_number_is_no_way_round_a_limit(till: Till) -> None:
    """A replaced card's limits go on counting where the old number's left off."""
    await till.open(khr=1_000_000, daily_limit_minor=50_000)
    await till.authorise(40_000)
    await till.replace()
    assert await till.said(till.message(Kind.AUTHORIZATION, 20_000)) == "limit_exceeded"
    assert await till.said(till.message(Kind.AUTHORIZATION, 10_000)) == "ok"
    await till.prove()


async def test_what_is_released_is_there_to_be_spent_again_that_day(till: Till) -> None:
    """A reversal, a smaller clearing and an expiry give the limits back what was not taken."""
    await till.open(khr=1_000_000, daily_limit_minor=50_000)
    bought = await till.authorise(40_000)
    assert await till.said(till.message(Kind.AUTHORIZATION, 10_001)) == "limit_exceeded"
    await till.done(till.message(Kind.REVERSAL, 30_000, of=bought))
    await till.done(till.message(Kind.CLEARING, 20_000, of=bought))
    other = await till.authorise(30_000)
    assert await till.said(till.message(Kind.AUTHORIZATION, 1)) == "limit_exceeded"
    await till.done(till.message(Kind.EXPIRY, of=other))
    assert await till.said(till.message(Kind.AUTHORIZATION, 30_000)) == "ok"
    await till.prove()
