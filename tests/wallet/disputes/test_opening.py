"""Opening a case: one's own money, once, in time, answered by a working day."""

import asyncio
from datetime import date, timedelta
from uuid import UUID

import asyncpg
import pytest

from tests import world
from tests.wallet.disputes.counter import BANK, Counter, outcome_or_refusal
from wallet.clock import TurnedClock
from wallet.database import CheckViolation, Database
from wallet.disputes import cases, timeline
from wallet.disputes.cases import CaseState, Cause
from wallet.identifiers import DisputeId, TransferId, new_id
from wallet.ledger.chart import AccountKind
from wallet.outcomes import Reason, Refused
from wallet.work import SYSTEM


async def test_a_case_has_a_number_a_deadline_and_what_is_in_dispute(counter: Counter) -> None:
    transfer = await counter.paid(15_000)

    opened = await counter.dispute(transfer, Cause.DUPLICATE_CHARGE)

    assert opened["state"] == "OPEN"
    assert opened["case_number"] == "D-2026-000001"
    case = await counter.case(DisputeId(UUID(opened["dispute_id"])))
    assert (case.holder_id, case.bank, case.transfer_id) == (counter.holder.id, BANK, transfer)
    assert (case.original_minor, case.remaining_minor) == (15_000, 15_000)
    assert case.state is CaseState.OPEN
    # Fifteen working days after Monday 12 January 2026.
    assert case.answer_by == date(2026, 2, 2)
    assert await counter.events(case.id) == ["WORKFLOW OPENED"]


@pytest.mark.parametrize("whose", ["of another person", "that put money in", "that is not there"])
async def test_only_ones_own_spending_can_be_disputed(counter: Counter, whose: str) -> None:
    if whose == "of another person":
        transfer, holder = await counter.paid(15_000), counter.other
    elif whose == "that put money in":
        transfer, holder = await counter.paid(5_000, credit=counter.other.khr), counter.other
    else:
        transfer, holder = TransferId(new_id()), counter.holder

    with pytest.raises(Refused) as refused:
        await counter.dispute(transfer, holder=holder)
    assert refused.value.reason is Reason.NOT_FOUND


async def test_another_banks_holder_finds_nothing_to_dispute(counter: Counter) -> None:
    transfer = await counter.paid(15_000)
    stranger = await world.holder(counter.works, bank="WING")

    with pytest.raises(Refused) as refused:
        await counter.dispute(transfer, holder=stranger)
    assert refused.value.reason is Reason.NOT_FOUND


async def test_money_only_held_is_not_taken_yet(counter: Counter) -> None:
    hold, _ = await counter.topped_up(20_000, capture=False)

    with pytest.raises(Refused) as refused:
        await counter.dispute(hold)
    assert refused.value.reason is Reason.NOT_FOUND


async def test_a8_1_a_second_case_for_one_transaction(counter: Counter) -> None:
    transfer = await counter.paid(15_000)
    await counter.dispute(transfer)

    with pytest.raises(Refused) as refused:
        await counter.dispute(transfer, Cause.OTHER)
    assert refused.value.reason is Reason.DISPUTE_EXISTS


async def test_a8_1_the_hold_and_its_capture_are_one_transaction(counter: Counter) -> None:
    hold, capture = await counter.topped_up(20_000)
    opened = await counter.dispute(hold, Cause.TOPUP_NOT_DELIVERED)

    with pytest.raises(Refused) as refused:
        await counter.dispute(capture, Cause.TOPUP_NOT_DELIVERED)
    assert refused.value.reason is Reason.DISPUTE_EXISTS
    case = await counter.case(DisputeId(UUID(opened["dispute_id"])))
    assert (case.transfer_id, case.original_minor) == (capture, 20_000)


async def test_a8_1_opened_many_times_at_once_it_is_one_case(counter: Counter) -> None:
    transfer = await counter.paid(15_000)

    answers = await asyncio.gather(
        *(outcome_or_refusal(counter.dispute(transfer)) for _ in range(8))
    )

    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(refused) == 7
    assert {one.reason for one in refused} <= {Reason.DISPUTE_EXISTS, Reason.IN_FLIGHT}


async def test_a8_2_after_the_time_limit(counter: Counter, clock: TurnedClock) -> None:
    late, in_time = await counter.paid(15_000), await counter.paid(16_000)
    clock.advance(cases.DISPUTABLE_FOR)
    await counter.dispute(in_time)
    clock.advance(timedelta(microseconds=1))

    with pytest.raises(Refused) as refused:
        await counter.dispute(late)
    assert refused.value.reason is Reason.DISPUTE_TOO_LATE


async def test_c3_3_what_the_operator_took_back_already_is_not_in_dispute(
    counter: Counter,
) -> None:
    hold, capture = await counter.topped_up(20_000)
    await counter.taken_back(hold, 20_000)

    with pytest.raises(Refused) as refused:
        await counter.dispute(capture)
    assert refused.value.reason is Reason.CONFLICT

    partly, captured = await counter.topped_up(30_000)
    await counter.taken_back(partly, 10_000)
    opened = await counter.dispute(captured)
    case = await counter.case(DisputeId(UUID(opened["dispute_id"])))
    assert case.original_minor == 20_000


@pytest.mark.parametrize(
    ("cause", "due"),
    [
        # Opened on Friday 9 January 2026; Monday the 12th is made a holiday.
        (Cause.TOPUP_NOT_DELIVERED, date(2026, 1, 13)),
        (Cause.ATM_CASH_NOT_DISPENSED, date(2026, 1, 19)),
        (Cause.OTHER, date(2026, 2, 2)),
    ],
)
async def test_c4_1_a_holiday_moves_the_deadline(
    counter: Counter, clock: TurnedClock, cause: Cause, due: date
) -> None:
    clock.advance(timedelta(days=-3))
    holiday = {date(2026, 1, 12): "a day added by sub-decree"}
    await counter.works.perform(SYSTEM, None, lambda w: cases.declare_holidays(w, holiday))
    # Declared twice, with a better name, it is still one day.
    await counter.works.perform(SYSTEM, None, lambda w: cases.declare_holidays(w, holiday))

    opened = await counter.dispute(await counter.paid(15_000), cause)

    assert opened["answer_by"] == due.isoformat()


async def test_the_deadline_counts_from_the_phnom_penh_day(
    counter: Counter, clock: TurnedClock
) -> None:
    # 23:30 on Monday in London is Tuesday 06:30 in Phnom Penh.
    clock.advance(timedelta(hours=21, minutes=30))
    opened = await counter.dispute(await counter.paid(15_000), Cause.TOPUP_NOT_DELIVERED)
    assert opened["answer_by"] == "2026-01-14"


async def test_c4_4_a_card_number_in_a_statement_is_masked(counter: Counter) -> None:
    opened = await counter.dispute(
        await counter.paid(15_000),
        statement="My card 9116-0100 0000 0001 was charged on 2026-01-11, call 012 345 678.",
    )
    case = await counter.case(DisputeId(UUID(opened["dispute_id"])))
    assert case.statement == "My card •••• 0001 was charged on 2026-01-11, call 012 345 678."


async def test_the_millionth_case_has_a_number_of_its_own(
    counter: Counter, database_url: str
) -> None:
    admin = await asyncpg.connect(database_url)
    await admin.execute("select setval('dispute_numbers', 100000, false)")
    first = await counter.dispute(await counter.paid(1_000))
    await admin.execute("select setval('dispute_numbers', 1000000, false)")
    second = await counter.dispute(await counter.paid(2_000))
    await admin.close()
    assert first["case_number"] == "D-2026-100000"
    assert second["case_number"] == "D-2026-1000000"


async def test_the_liability_adds_up_whatever_is_written(
    counter: Counter, database: Database
) -> None:
    case_id = await counter.case_of(15_000)
    for wrong in (
        "recovered_minor = 1",
        "remaining_minor = remaining_minor - 1",
        "remaining_minor = -1, denied_minor = original_minor + 1",
        "state = 'CLOSED', closed_at = now(), disposition = 'DENIED'",
        "state = 'CLOSED', denied_minor = remaining_minor, remaining_minor = 0",
    ):
        with pytest.raises(CheckViolation):
            await counter.works.perform(
                SYSTEM,
                None,
                lambda w, wrong=wrong: w.execute(
                    f"update disputes set {wrong} where id = $1", case_id
                ),
            )


async def test_open_cases_come_by_deadline_page_by_page_and_a_holders_newest_first(
    counter: Counter, clock: TurnedClock
) -> None:
    numbers = []
    for cause in (Cause.OTHER, Cause.TOPUP_NOT_DELIVERED, Cause.ATM_CASH_NOT_DISPENSED) * 2:
        opened = await counter.dispute(await counter.paid(1_000), cause)
        numbers.append(opened["case_number"])
        clock.advance(timedelta(minutes=1))
    await counter.close((await counter.read(cases.waiting))[0].id)

    seen: list[cases.Case] = []
    while True:
        after = (seen[-1].answer_by, seen[-1].id) if seen else None
        page = await counter.read(lambda w, after=after: cases.waiting(w, after=after, limit=2))
        if not page:
            break
        seen += page
    assert [case.case_number for case in seen] == [numbers[i] for i in (4, 2, 5, 0, 3)]

    own: list[cases.Case] = []
    while True:
        before = (own[-1].opened_at, own[-1].id) if own else None
        page = await counter.read(
            lambda w, before=before: cases.of_holder(w, counter.holder.id, before=before, limit=4)
        )
        if not page:
            break
        own += page
    assert [case.case_number for case in own] == numbers[::-1]


async def test_the_timeline_is_in_order_and_looking_at_it_is_audited(
    counter: Counter, clock: TurnedClock
) -> None:
    _, capture = await counter.topped_up(20_000)
    clock.advance(timedelta(minutes=5))
    opened = await counter.dispute(capture, Cause.TOPUP_NOT_DELIVERED)
    case = await counter.case(DisputeId(UUID(opened["dispute_id"])))
    clock.advance(timedelta(minutes=5))
    await counter.refund(case.id, 20_000)

    moments = await counter.by("dara", lambda work: timeline.of_case(work, case))

    told = [(moment.source, moment.what, moment.detail) for moment in moments]
    assert told == [
        ("ledger", "topup.hold", "20,000 KHR"),
        ("ledger", "topup.capture", "20,000 KHR"),
        ("case", "OPENED", "TOPUP_NOT_DELIVERED"),
        ("audit", "dispute.open", ""),
        ("notice", "dispute.opened", ""),
        ("ledger", "refund.posted", "20,000 KHR"),
        ("case", "REFUND_PAID", "20,000 KHR COUNTERPARTY: The shop confirms it."),
        ("audit", "dispute.refund", "The shop confirms it."),
        ("notice", "dispute.refunded", "20,000 KHR"),
    ]
    dara = f"support:{counter.desk.people['dara'].id}"
    assert moments[6].by == moments[7].by == dara
    clock.advance(timedelta(minutes=5))
    await counter.by("dara", lambda work: timeline.of_case(work, case))
    again = await counter.by("dara", lambda work: timeline.of_case(work, case))
    assert again[-1].what == "dispute.view"
    assert again[-1].by == dara


async def test_by_its_number_a_case_is_found_however_typed(counter: Counter) -> None:
    case_id = await counter.case_of(15_000)
    for typed in ("D-2026-000001", " d-2026-000001 "):
        found = await counter.read(lambda w, typed=typed: cases.by_number(w, typed))
        assert found is not None
        assert found.id == case_id
    assert await counter.read(lambda w: cases.by_number(w, "D-2026-000009")) is None
    assert await counter.house(AccountKind.MERCHANT_SETTLEMENT, "khqr") == 15_000
