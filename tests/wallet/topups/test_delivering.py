"""Never sent twice, never lost: every way an operator can behave, by real HTTP and real books."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec import Struct

from runtime.operators import HttpOperators
from tests.behind import rows_of_all_banks
from tests.wallet.topups.shop import ACLEDA, PATIENCE, Shop, number
from wallet import topups
from wallet.identifiers import TopupId, new_id
from wallet.jobs import Again
from wallet.money import Currency, Money
from wallet.outcomes import Done
from wallet.topups.entering import ENTERING, MARKING, Heard, Marking
from wallet.topups.numbers import Msisdn
from wallet.topups.operators import Answer, Delivered, Found, NotFound, TakenBack, Unknown

PAID = (95_000, 0)
UNTOUCHED = (100_000, 0)
HELD = (100_000, 5_000)


async def test_an_ordinary_number_is_topped_up_at_once(shop: Shop) -> None:
    topup_id = await shop.buy(number(41))
    assert await shop.wallet() == HELD
    await shop.work_off()
    done = await shop.topup(topup_id)
    assert (done.state, done.provider_ref) == ("SUCCEEDED", "1")
    assert await shop.wallet() == PAID
    assert await shop.events(topup_id) == ["succeeded"]
    assert (shop.sent(topup_id), shop.delivered(topup_id)) == (1, 1)


class Course(Struct, frozen=True):
    """What becomes of a number with this ending."""

    at_once: str
    in_the_end: str
    told: str
    delivered: int


COURSES = {
    80: Course("SENT", "SUCCEEDED", "succeeded", 1),
    81: Course("FAILED", "FAILED", "failed", 0),
    82: Course("UNKNOWN", "SUCCEEDED", "unknown succeeded", 1),
    83: Course("UNKNOWN", "FAILED", "unknown failed", 0),
    84: Course("SENT", "SUCCEEDED", "succeeded", 1),
    85: Course("SUCCEEDED", "SUCCEEDED", "succeeded", 1),
    86: Course("SUCCEEDED", "REVERSED", "succeeded reversed", 1),
    87: Course("FAILED", "FAILED", "failed", 0),
    88: Course("FAILED", "FAILED", "failed", 0),
    89: Course("UNKNOWN", "FAILED", "unknown failed", 0),
    90: Course("SENT", "SUCCEEDED", "succeeded", 1),
    91: Course("SENT", "SUCCEEDED", "succeeded", 1),
    92: Course("UNKNOWN", "RECOVERY", "unknown failed in_recovery", 1),
}


@pytest.mark.parametrize("callbacks", [True, False], ids=["callbacks", "polling"])
async def test_every_way_an_operator_behaves(shop: Shop, callbacks: bool) -> None:
    shop.deal_with(callbacks=callbacks)
    bought = {ending: await shop.buy(number(ending)) for ending in COURSES}
    await shop.work_off()
    states = {ending: await shop.state(bought[ending]) for ending in COURSES}
    assert states == {ending: course.at_once for ending, course in COURSES.items()}
    await shop.assert_books_right()
    await shop.wait(2 * 86_400)
    courses = {
        ending: Course(
            states[ending],
            await shop.state(topup_id),
            " ".join(await shop.events(topup_id)),
            shop.delivered(topup_id),
        )
        for ending, topup_id in bought.items()
    }
    assert courses == COURSES
    assert {shop.sent(topup_id) for topup_id in bought.values()} == {1}
    paid = sum(course.in_the_end == "SUCCEEDED" for course in COURSES.values())
    assert await shop.wallet() == (100_000 - 5_000 * paid, 0)
    assert await shop.database.rows("select 1 from jobs") == []


async def test_a_number_nobody_answers_for_is_paid_back_after_the_grace_and_not_before(
    shop: Shop,
) -> None:
    topup_id = await shop.buy(number(83))
    await shop.work_off()
    await shop.wait(58)
    assert (await shop.state(topup_id), await shop.wallet()) == ("UNKNOWN", HELD)
    await shop.wait(6)
    failed = await shop.topup(topup_id)
    assert (failed.state, failed.reason) == ("FAILED", "not_received")
    assert await shop.wallet() == UNTOUCHED


async def test_a_plain_no_gives_the_money_back_at_once_with_its_reason(shop: Shop) -> None:
    bought = [await shop.buy(number(ending)) for ending in (81, 87, 88)]
    await shop.work_off()
    reasons = [(await shop.topup(topup_id)).reason for topup_id in bought]
    assert reasons == ["operator_declined", "operator_busy", "float_empty"]
    assert await shop.wallet() == UNTOUCHED


async def test_delivered_after_we_paid_back_debits_nobody_and_suspense_stands_in(
    shop: Shop,
) -> None:
    topup_id = await shop.buy(number(92))
    await shop.work_off()
    await shop.wait(86_400)
    assert await shop.state(topup_id) == "RECOVERY"
    assert await shop.wallet() == UNTOUCHED
    assert await shop.house("suspense", "topup_recovery") == -5_000
    assert await shop.house("operator_float", "CELLCARD") == 5_000
    audited = await rows_of_all_banks(
        shop.database, "select act from audit where act like 'topup.%'"
    )
    assert [row["act"] for row in audited] == ["topup.recovery"]


async def test_taken_back_after_success_is_credited_by_a_new_transfer(shop: Shop) -> None:
    topup_id = await shop.buy(number(86))
    await shop.work_off()
    assert await shop.wallet() == PAID
    await shop.wait(60)
    reversed_one = await shop.topup(topup_id)
    assert reversed_one.state == "REVERSED"
    assert await shop.wallet() == UNTOUCHED
    assert await shop.transfers(topup_id) == [
        ("topup", "hold"),
        ("topup", "capture"),
        ("topup_return", "posted"),
    ]


async def test_taken_back_after_a_dispute_refunded_it_is_not_credited_twice(shop: Shop) -> None:
    topup_id = await shop.buy(number(86))
    await shop.work_off()
    await shop.refund(topup_id)
    assert await shop.wallet() == UNTOUCHED
    await shop.wait(60)
    assert await shop.state(topup_id) == "REVERSED"
    assert await shop.wallet() == UNTOUCHED
    assert await shop.house("suspense", "topup_recovery") == 5_000
    audited = await rows_of_all_banks(
        shop.database, "select act from audit where act like 'topup.%'"
    )
    assert [row["act"] for row in audited] == ["topup.returned_after_refund"]
    assert "topup.reversed" not in await shop.events(topup_id)


async def test_a_number_that_moved_to_another_operator_is_not_sent(shop: Shop) -> None:
    shop.telco.ported["+85512345600"] = "SMART"
    topup_id = await shop.buy(number(0))
    await shop.work_off()
    failed = await shop.topup(topup_id)
    assert (failed.state, failed.reason, failed.sent_at) == ("FAILED", "wrong_operator", None)
    assert shop.sent(topup_id) == 0
    assert await shop.wallet() == UNTOUCHED
    again = await shop.buy(number(0), operator="SMART")
    await shop.work_off()
    assert await shop.state(again) == "SUCCEEDED"


async def test_callbacks_decide_nothing_and_a_forged_one_is_not_even_heard(shop: Shop) -> None:
    topup_id = await shop.buy(number(91))
    await shop.work_off()
    await shop.telco.tick()
    assert (shop.callbacks_heard, shop.callbacks_believed) == (1, 0)
    assert await shop.state(topup_id) == "SENT"


async def test_a_hint_for_a_reference_that_is_not_ours_does_nothing(shop: Shop) -> None:
    await topups.hinted(shop.works, TopupId(new_id()))
    assert await shop.database.rows("select 1 from jobs") == []


# Crashes and races


async def test_a_crash_before_the_answer_is_looked_up_and_never_sent_again(shop: Shop) -> None:
    topup_id = await shop.buy(number(0))
    crashing = Crashing(shop.operators)
    with pytest.raises(CrashError):
        await topups.submit(shop.desk_with(crashing), ACLEDA, topup_id)
    assert await shop.state(topup_id) == "SENT"
    assert shop.delivered(topup_id) == 1
    await shop.work_off()
    assert await shop.state(topup_id) == "SUCCEEDED"
    assert (shop.sent(topup_id), shop.delivered(topup_id)) == (1, 1)


async def test_a_crash_between_marking_and_calling_pays_back_after_the_grace(shop: Shop) -> None:
    topup_id = await shop.buy(number(0))
    with pytest.raises(CrashError):
        await topups.submit(shop.desk_with(Crashing(shop.operators, before=True)), ACLEDA, topup_id)
    await shop.work_off()
    assert await shop.state(topup_id) == "UNKNOWN"
    await shop.wait(120)
    assert await shop.state(topup_id) == "FAILED"
    assert shop.sent(topup_id) == 0
    assert await shop.wallet() == UNTOUCHED


async def test_the_same_job_run_by_ten_workers_at_once_sends_once(shop: Shop) -> None:
    topup_id = await shop.buy(number(0))
    runs = [topups.submit(shop.desk, ACLEDA, topup_id) for _ in range(10)]
    outcomes = await asyncio.gather(*runs, return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, Again) for outcome in outcomes)
    await shop.wait(60)
    assert await shop.state(topup_id) == "SUCCEEDED"
    assert (shop.sent(topup_id), shop.delivered(topup_id)) == (1, 1)


async def test_of_several_asking_in_one_group_exactly_one_is_told_to_send(shop: Shop) -> None:
    topup_id = await shop.buy(number(0))
    asking = [Marking(topup_id=topup_id, patience=PATIENCE)] * 3
    answers = await shop.teller.ask_group(MARKING, ACLEDA, asking)
    assert [a.answer["send"] for a in answers if isinstance(a, Done)] == [True, False, False]


async def test_a_process_that_slept_after_marking_no_longer_calls(shop: Shop) -> None:
    topup_id = await shop.buy(number(0))
    hasty = topups.Patience(sending_s=0.0)
    await topups.submit(shop.desk_with(shop.operators, hasty), ACLEDA, topup_id)
    assert shop.sent(topup_id) == 0
    await shop.wait(120)
    assert await shop.state(topup_id) == "FAILED"


async def test_a_top_up_held_for_longer_than_we_wait_is_paid_back_unsent(shop: Shop) -> None:
    topup_id = await shop.buy(number(0))
    shop.clock.advance(timedelta(hours=21))
    await shop.work_off()
    assert await shop.state(topup_id) == "FAILED"
    assert shop.sent(topup_id) == 0
    assert await shop.wallet() == UNTOUCHED


async def test_an_operator_silent_for_a_day_costs_the_holder_nothing(shop: Shop) -> None:
    topup_id = await shop.buy(number(82))
    await shop.telco.stop()
    await shop.work_off()
    await shop.wait(19 * 3600)
    assert (await shop.state(topup_id), await shop.wallet()) == ("UNKNOWN", HELD)
    await shop.wait(2 * 3600)
    failed = await shop.topup(topup_id)
    assert (failed.state, failed.reason) == ("FAILED", "operator_silent")
    assert await shop.wallet() == UNTOUCHED


async def test_a_lost_job_is_wanted_anew(shop: Shop) -> None:
    held = await shop.buy(number(0))
    await shop.database.run("delete from jobs")
    assert await topups.resume(shop.works, ACLEDA) == 0
    shop.clock.advance(timedelta(minutes=16))
    assert await topups.resume(shop.works, ACLEDA) == 1
    await shop.work_off()
    assert await shop.state(held) == "SUCCEEDED"


async def test_a_hold_that_expired_unresolved_ends_in_recovery_and_never_in_a_debit(
    shop: Shop,
) -> None:
    topup_id = await shop.buy(number(82))
    await shop.work_off()
    shop.clock.advance(timedelta(hours=73))
    assert await shop.expire_holds() == 1
    assert await shop.wallet() == UNTOUCHED
    await shop.work_off()
    assert await shop.state(topup_id) == "RECOVERY"
    assert await shop.house("suspense", "topup_recovery") == -5_000


async def test_a_hold_past_its_expiry_is_released_as_expired_even_before_the_janitor(
    shop: Shop,
) -> None:
    topup_id = await shop.buy(number(83))
    await shop.work_off()
    shop.clock.advance(timedelta(hours=73))
    await shop.work_off()
    assert await shop.state(topup_id) == "FAILED"
    assert await shop.expire_holds() == 0
    assert await shop.wallet() == UNTOUCHED


async def test_many_at_once_are_entered_in_groups_and_each_is_sent_once(shop: Shop) -> None:
    wanted = [await shop.buy(f"012 345 {n}00", amount="1", currency=Currency.USD) for n in range(8)]
    await asyncio.gather(*(topups.submit(shop.desk, ACLEDA, one) for one in wanted))
    assert [await shop.state(one) for one in wanted] == ["SUCCEEDED"] * 8
    assert [shop.sent(one) for one in wanted] == [1] * 8
    assert await shop.wallet(Currency.USD) == (4_200, 0)


async def test_two_answers_for_one_top_up_in_one_group_take_turns(shop: Shop) -> None:
    topup_id = await shop.buy(number(0))
    patience = PATIENCE
    await shop.teller.ask(MARKING, ACLEDA, Marking(topup_id=topup_id, patience=patience))
    answers: list[Answer] = [
        Delivered(provider_ref="1"),
        TakenBack(provider_ref="1"),
        Delivered(provider_ref="1"),
        NotFound(),
    ]
    heard = [Heard(topup_id=topup_id, answer=a, patience=patience) for a in answers]
    states = await shop.teller.ask_group(ENTERING, ACLEDA, heard)
    assert states == [Done(answer={"state": "REVERSED"})] * 4
    assert await shop.events(topup_id) == ["succeeded", "reversed"]
    assert await shop.wallet() == UNTOUCHED


class CrashError(Exception):
    """Stands for the process dying at that point: nothing after it ran."""


class Crashing:
    """The real adapter, dying before its submission or after it, before anyone hears the answer."""

    def __init__(self, real: HttpOperators, *, before: bool = False) -> None:
        self._real = real
        self._before = before

    async def lookup(self, msisdn: Msisdn) -> Found:
        return await self._real.lookup(msisdn)

    async def products(self, operator: str) -> Sequence[str] | Unknown:
        return await self._real.products(operator)

    async def submit(self, ref: str, product: str, msisdn: Msisdn, amount: Money) -> Answer:
        if not self._before:
            await self._real.submit(ref, product, msisdn, amount)
        raise CrashError

    async def get_by_ref(self, ref: str) -> Answer:
        return await self._real.get_by_ref(ref)
