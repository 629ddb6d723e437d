"""Refunds: by one person or two, never more than was taken, never twice."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from tests import world
from tests.wallet.disputes.counter import BANK, Counter, outcome_or_refusal
from wallet.clock import TurnedClock
from wallet.database import CheckViolation, UniqueViolation
from wallet.disputes import closing, refunds
from wallet.disputes.cases import Disposition
from wallet.disputes.proof import CHECKS
from wallet.disputes.refunds import Source, Wish
from wallet.identifiers import BankId, DisputeId, new_id
from wallet.ledger.chart import AccountKind
from wallet.ledger.proof import prove
from wallet.money import Money
from wallet.outcomes import Declined, Done, Reason, Refused
from wallet.work import SYSTEM, Work

FUNDS = 2_000_000


async def test_up_to_the_threshold_one_person_gives_back_at_once(counter: Counter) -> None:
    case_id = await counter.case_of(500_000)

    answer = await counter.refund(case_id, 400_000)

    assert answer["state"] == "PAID"
    assert await counter.wallet() == FUNDS - 100_000
    assert await counter.house(AccountKind.MERCHANT_SETTLEMENT, "khqr") == 100_000
    case = await counter.case(case_id)
    assert (case.recovered_minor, case.written_off_minor, case.remaining_minor) == (
        400_000,
        0,
        100_000,
    )
    assert await counter.events(case_id) == ["WORKFLOW OPENED", "FINANCIAL REFUND_PAID"]


async def test_above_the_threshold_a_second_person_pays_it(counter: Counter) -> None:
    case_id = await counter.case_of(500_000)

    asked = await counter.refund(case_id, 400_001)
    assert asked["state"] == "REQUESTED"
    assert await counter.wallet() == FUNDS - 500_000
    case = await counter.case(case_id)
    assert case.remaining_minor == 500_000
    assert await counter.read(lambda w: refunds.with_refund_waiting(w, [case_id])) == {case_id}

    paid = await counter.approve(asked["refund_id"])
    assert isinstance(paid, Done)
    assert paid.answer["state"] == "PAID"
    assert await counter.wallet() == FUNDS - 99_999
    assert await counter.read(lambda w: refunds.with_refund_waiting(w, [case_id])) == set()
    [refund] = await counter.read(lambda w: refunds.of_case(w, case_id))
    people = counter.desk.people
    assert (refund.maker, refund.checker) == (people["dara"].id, people["bopha"].id)


async def test_a_large_refund_cut_into_small_ones_needs_two_as_well(counter: Counter) -> None:
    case_id = await counter.case_of(900_000)
    assert (await counter.refund(case_id, 400_000))["state"] == "PAID"
    second = await counter.refund(case_id, 1_000)
    assert second["state"] == "REQUESTED"
    await counter.approve(second["refund_id"])
    # What two have approved does not count against one person's share.
    assert (await counter.refund(case_id, 1, login="bopha"))["state"] == "REQUESTED"


async def test_the_bank_pays_from_its_own_when_the_money_is_a_persons(counter: Counter) -> None:
    """C3.4: the receiver may have spent it; nobody's wallet is reached into."""
    case_id = await counter.case_of(50_000, credit=counter.other.khr, kind="transfer")

    with pytest.raises(Refused) as refused:
        await counter.refund(case_id, 50_000)
    assert refused.value.reason is Reason.CONFLICT
    assert await counter.states(case_id) == []

    await counter.refund(case_id, 50_000, source=Source.BANK)
    assert await counter.wallet() == FUNDS
    assert await counter.house(AccountKind.DISPUTE_LOSS) == -50_000
    case = await counter.case(case_id)
    assert (case.recovered_minor, case.written_off_minor) == (0, 50_000)
    assert await counter.events(case_id) == [
        "WORKFLOW OPENED",
        "FINANCIAL REFUND_PAID",
        "LIABILITY WRITTEN_OFF",
    ]


@pytest.mark.parametrize(
    ("money", "reason"),
    [
        (Money.khr(15_001), Reason.REFUND_EXCEEDS),
        (Money.khr(2**62), Reason.REFUND_EXCEEDS),
        (Money.khr(0), Reason.AMOUNT_INVALID),
        (Money.khr(-1), Reason.AMOUNT_INVALID),
        (Money.usd(100), Reason.CURRENCY_UNSUPPORTED),
    ],
)
async def test_what_cannot_be_given_back(counter: Counter, money: Money, reason: Reason) -> None:
    case_id = await counter.case_of(15_000)
    for threshold in (Money(0, money.currency), Money(2**62, money.currency)):
        wish = Wish(
            case_id=case_id,
            money=money,
            source=Source.BANK,
            why="no reason",
            threshold=threshold,
        )
        with pytest.raises(Refused) as refused:
            await counter.by("dara", lambda work, wish=wish: refunds.ask(work, wish))
        assert refused.value.reason is reason
    assert await counter.wallet() == FUNDS - 15_000


async def test_c3_3_what_is_given_back_is_not_given_back_again(counter: Counter) -> None:
    case_id = await counter.case_of(15_000)
    await counter.refund(case_id, 15_000)
    for source in Source:
        with pytest.raises(Refused) as refused:
            await counter.refund(case_id, 1, source=source)
        assert refused.value.reason is Reason.REFUND_EXCEEDS


async def test_c3_3_nor_what_the_operator_takes_back_while_the_case_is_open(
    counter: Counter,
) -> None:
    hold, capture = await counter.topped_up(500_000)
    opened = await counter.dispute(capture)
    case_id = DisputeId(UUID(opened["dispute_id"]))
    asked = await counter.refund(case_id, 500_000)
    await counter.taken_back(hold, 450_000)

    refused = await outcome_or_refusal(counter.approve(asked["refund_id"]))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.REFUND_EXCEEDS
    assert refused.facts == {"remaining_minor": 50_000}
    assert await counter.wallet() == FUNDS - 50_000

    counter.desk.works.clock.advance(timedelta(hours=24))  # type: ignore[attr-defined]
    with pytest.raises(Refused):
        await counter.refund(case_id, 50_001)
    await counter.refund(case_id, 50_000)
    closed = await counter.close(case_id)
    assert closed["disposition"] == "WON"
    case = await counter.case(case_id)
    assert (case.recovered_minor, case.denied_minor) == (500_000, 0)


async def test_c3_3_an_operators_return_racing_a_refund_is_not_paid_on_top(
    counter: Counter,
) -> None:
    for _ in range(4):
        before = await counter.wallet()
        hold, capture = await counter.topped_up(10_000)
        opened = await counter.dispute(capture)
        case_id = DisputeId(UUID(opened["dispute_id"]))
        refunded, _ = await asyncio.gather(
            outcome_or_refusal(counter.refund(case_id, 10_000)), counter.taken_back(hold, 10_000)
        )
        # The operator's return is a fact and is always entered; ours is paid only before it.
        paid = 0 if isinstance(refunded, Refused) else 10_000
        assert await counter.wallet() == before + paid


async def test_c3_1_approving_ones_own_request(counter: Counter) -> None:
    case_id = await counter.case_of(500_000)
    asked = await counter.refund(case_id, 500_000, login="bopha")

    with pytest.raises(Refused) as refused:
        await counter.approve(asked["refund_id"], login="bopha")
    assert refused.value.reason is Reason.FOUR_EYES
    assert await counter.states(case_id) == ["REQUESTED"]


async def test_c3_1_nor_does_the_database_let_it(counter: Counter) -> None:
    case_id = await counter.case_of(500_000)
    asked = await counter.refund(case_id, 500_000)

    async def sql(statement: str) -> None:
        await counter.works.perform(
            SYSTEM, None, lambda w: w.execute(statement, asked["refund_id"])
        )

    paid = "state = 'PAID', transfer_id = gen_random_uuid(), paid_at = now()"
    for wrong in (
        f"update refunds set {paid}, checker = maker where id = $1",
        f"update refunds set {paid} where id = $1",
        "update refunds set state = 'PAID', checker = gen_random_uuid() where id = $1",
        "update refunds set amount_minor = 0 where id = $1",
    ):
        with pytest.raises(CheckViolation):
            await sql(wrong)
    with pytest.raises(UniqueViolation):
        await sql(
            "insert into refunds (id, bank, dispute_id, amount_minor, source, why, state, maker,"
            " at) select gen_random_uuid(), bank, dispute_id, 1, source, why, 'REQUESTED', maker,"
            " at from refunds where id = $1"
        )


async def test_an_agent_alone_approves_nothing_and_nobody_else_acts_at_all(
    counter: Counter,
) -> None:
    await counter.desk.enrol("maker.acleda")
    case_id = await counter.case_of(500_000)
    asked = await counter.refund(case_id, 500_000, login="bopha")

    async def refused(act: object) -> Reason:
        answer = await outcome_or_refusal(act)  # type: ignore[arg-type]
        assert isinstance(answer, Refused)
        return answer.reason

    assert await refused(counter.approve(asked["refund_id"], login="dara")) is Reason.FORBIDDEN
    clerk = "maker.acleda"
    assert await refused(counter.approve(asked["refund_id"], login=clerk)) is Reason.FORBIDDEN
    assert await refused(counter.refund(case_id, 1, login=clerk)) is Reason.FORBIDDEN
    for actor in (SYSTEM, counter.desk.member(clerk).actor):
        closed = counter.works.perform(
            actor, BANK, lambda work: closing.close(work, case_id, "mine")
        )
        assert await refused(closed) is Reason.FORBIDDEN


async def test_a_wrong_code_counts_and_pays_nothing(counter: Counter) -> None:
    case_id = await counter.case_of(500_000)
    asked = await counter.refund(case_id, 500_000)

    for left in (4, 3, 2, 1, 0):
        wrong = await counter.approve(asked["refund_id"], code="000000")
        assert wrong == Declined(reason=Reason.OTP_WRONG, facts={"tries_left": left})
    right = await counter.approve(asked["refund_id"])
    assert right == Declined(reason=Reason.LOCKED)
    assert await counter.states(case_id) == ["REQUESTED"]
    assert await counter.wallet() == FUNDS - 500_000


async def test_c3_2_two_agents_at_once(counter: Counter) -> None:
    case_id = await counter.case_of(300_000)

    answers = await asyncio.gather(
        *(
            outcome_or_refusal(counter.refund(case_id, 300_000, login=login))
            for login in ("dara", "bopha") * 4
        )
    )

    refused = [answer.reason for answer in answers if isinstance(answer, Refused)]
    assert len(refused) == 7
    assert set(refused) <= {Reason.REFUND_EXCEEDS, Reason.IN_FLIGHT}
    assert await counter.wallet() == FUNDS


async def test_c3_2_two_who_ask_above_the_threshold_at_once_leave_one_request(
    counter: Counter,
) -> None:
    case_id = await counter.case_of(500_000)
    answers = await asyncio.gather(
        *(
            outcome_or_refusal(counter.refund(case_id, 450_000, login=login))
            for login in ("dara", "bopha") * 2
        )
    )
    refused = [answer.reason for answer in answers if isinstance(answer, Refused)]
    assert len(refused) == 3
    assert set(refused) <= {Reason.CONFLICT, Reason.IN_FLIGHT}
    assert await counter.states(case_id) == ["REQUESTED"]


async def test_c3_6_approved_twice_or_by_many_at_once_it_is_paid_once(counter: Counter) -> None:
    case_id = await counter.case_of(500_000)
    asked = await counter.refund(case_id, 500_000)

    answers = await asyncio.gather(
        *(outcome_or_refusal(counter.approve(asked["refund_id"])) for _ in range(6))
    )
    assert sum(isinstance(answer, Done) for answer in answers) == 1
    with pytest.raises(Refused) as refused:
        await counter.approve(asked["refund_id"])
    assert refused.value.reason is Reason.ILLEGAL_TRANSITION
    assert await counter.wallet() == FUNDS
    assert await counter.states(case_id) == ["PAID"]


async def test_while_a_refund_waits_no_other_is_made_and_the_case_stays_open(
    counter: Counter,
) -> None:
    case_id = await counter.case_of(500_000)
    await counter.refund(case_id, 450_000)

    for act in (counter.refund(case_id, 1), counter.close(case_id)):
        refused = await outcome_or_refusal(act)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.CONFLICT


async def test_an_expired_request_lapses_when_approved(
    counter: Counter, clock: TurnedClock
) -> None:
    case_id = await counter.case_of(500_000)
    asked = await counter.refund(case_id, 450_000)
    clock.advance(timedelta(hours=24))

    assert await counter.approve(asked["refund_id"]) == Declined(reason=Reason.APPROVAL_EXPIRED)

    assert await counter.states(case_id) == ["LAPSED"]
    assert (await counter.events(case_id))[-1] == "WORKFLOW REFUND_LAPSED"
    with pytest.raises(Refused) as refused:
        await counter.approve(asked["refund_id"])
    assert refused.value.reason is Reason.ILLEGAL_TRANSITION
    again = await counter.refund(case_id, 450_000)
    assert isinstance(await counter.approve(again["refund_id"]), Done)


async def test_an_expired_request_stands_in_nobodys_way(
    counter: Counter, clock: TurnedClock
) -> None:
    """Nobody ever approved it: the case can be refunded and closed all the same."""
    first, second = await counter.case_of(500_000), await counter.case_of(500_000)
    for case_id in (first, second):
        await counter.refund(case_id, 450_000)
    clock.advance(timedelta(hours=24))
    assert await counter.read(lambda w: refunds.with_refund_waiting(w, [first, second])) == set()

    assert (await counter.refund(first, 1_000))["state"] == "PAID"
    assert (await counter.close(second))["disposition"] == "DENIED"
    assert await counter.states(first) == ["LAPSED", "PAID"]
    assert await counter.states(second) == ["LAPSED"]


async def test_refunding_and_approving_after_closing(counter: Counter) -> None:
    case_id = await counter.case_of(15_000)
    await counter.close(case_id)
    for act in (counter.refund(case_id, 1), counter.close(case_id)):
        refused = await outcome_or_refusal(act)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.DISPUTE_CLOSED


@pytest.mark.parametrize(
    ("given_back", "withdrawn", "disposition", "denied"),
    [
        (0, False, Disposition.DENIED, 15_000),
        (5_000, False, Disposition.PARTIALLY_WON, 10_000),
        (15_000, False, Disposition.WON, 0),
        (0, True, Disposition.WITHDRAWN, 15_000),
        (15_000, True, Disposition.WON, 0),
    ],
)
async def test_closing_denies_what_remains(
    counter: Counter,
    given_back: int,
    withdrawn: bool,
    disposition: Disposition,
    denied: int,
) -> None:
    case_id = await counter.case_of(15_000)
    if given_back:
        await counter.refund(case_id, given_back)

    closed = await counter.close(case_id, withdrawn=withdrawn)

    assert closed["disposition"] == disposition.value
    case = await counter.case(case_id)
    assert (case.denied_minor, case.remaining_minor) == (denied, 0)
    denials = [told for told in await counter.events(case_id) if told == "LIABILITY DENIED"]
    assert len(denials) == (1 if denied else 0)


async def test_what_is_not_there_is_not_found(counter: Counter) -> None:
    nothing = DisputeId(new_id())
    for act in (
        counter.refund(nothing, 1),
        counter.close(nothing),
        counter.approve(str(new_id())),
    ):
        refused = await outcome_or_refusal(act)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.NOT_FOUND


async def test_c1_4_another_banks_books_show_nothing_of_it(counter: Counter) -> None:
    await world.establish(counter.works)
    case_id = await counter.case_of(500_000)
    asked = await counter.refund(case_id, 500_000)

    async def in_wing(work: Work) -> object:
        wish = Wish(
            case_id=case_id,
            money=Money.khr(1),
            source=Source.BANK,
            why="over the wall",
            threshold=Money.khr(400_000),
        )
        return await refunds.ask(work, wish)

    dara = counter.desk.member("dara").actor
    answer = await outcome_or_refusal(counter.works.perform(dara, BankId("WING"), in_wing))
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.NOT_FOUND
    assert asked["state"] == "REQUESTED"


async def test_a_refund_is_told_and_audited_with_its_case(counter: Counter) -> None:
    case_id = await counter.case_of(15_000)
    await counter.refund(case_id, 5_000, why="Card 9116 0100 0000 0001 charged twice.")

    async def query(work: Work) -> tuple[object, object]:
        audit = await work.row(
            "select actor_id, holder_id, reason, case_number from audit where act = $1",
            refunds.ACT,
        )
        event = await work.row("select body from events where kind = 'dispute.refunded'")
        return audit, event

    audit, event = await counter.read(query)
    assert tuple(audit) == (  # type: ignore[arg-type]
        str(counter.desk.people["dara"].id),
        counter.holder.id,
        "Card •••• 0001 charged twice.",
        "D-2026-000001",
    )
    assert event["body"]["money"] == {"minor": 5_000, "currency": "KHR"}  # type: ignore[index]


async def test_the_proof_sees_a_case_that_counts_more_than_was_paid(counter: Counter) -> None:
    case_id = await counter.case_of(15_000)
    await counter.refund(case_id, 5_000)

    async def recovered(riel: int) -> None:
        await counter.works.perform(
            SYSTEM,
            None,
            lambda w: w.execute(
                "update disputes set recovered_minor = $2::bigint, remaining_minor = 15000 - $2"
                " where id = $1",
                case_id,
                riel,
            ),
        )

    await recovered(6_000)
    findings = [finding for finding in await prove(counter.works, CHECKS) if not finding.right]
    assert [finding.difference for finding in findings] == ["case D-2026-000001"]
    await recovered(5_000)
