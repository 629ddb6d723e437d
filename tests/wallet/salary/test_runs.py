"""A salary run from receipt to the last credit: each bad case by its line, each line once."""

import asyncio

import pytest

from tests import world
from tests.wallet.salary.payroll import (
    HEADER,
    SALARY,
    Line,
    Office,
    assert_books_right,
    file_of,
    officer,
)
from wallet.access.members import Role
from wallet.database import CheckViolation
from wallet.identifiers import BankId, HolderId, TransferId, new_id
from wallet.ledger.book import Posted, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.money import Currency
from wallet.outcomes import Declined, Done, Reason, Refused
from wallet.registry import holders, smart_ids
from wallet.registry.holders import HolderStatus
from wallet.registry.states import Party
from wallet.salary.check import check
from wallet.salary.findings import FileCode
from wallet.salary.pay import pay
from wallet.salary.runs import LARGEST_FILE_BYTES, LineState, Run, RunState, Upload, receive
from wallet.teller import Teller
from wallet.work import SYSTEM, Work, Works


@pytest.fixture
def office(works: Works, teller: Teller) -> Office:
    return Office(works, teller)


async def team(works: Works, *banks: str, agency: str = "MCS") -> list[world.WorldHolder]:
    return [await world.holder(works, bank=bank, agency=agency) for bank in banks]


def faults(run: Run) -> list[tuple[FileCode, int]]:
    return [(fault.code, fault.line_no) for fault in run.faults]


async def test_each_line_credits_its_holder_from_the_treasury_once(
    works: Works, office: Office
) -> None:
    people = await team(works, "ACLEDA", "CANADIA", "WING", "WING")
    run = await office.send(file_of([Line(holder=person) for person in people]))
    assert (run.state, run.accepted_lines, run.accepted_minor) == (RunState.CHECKED, 4, 4 * SALARY)
    assert (run.period, run.half, run.lines, run.sum_minor) == ("2026-01", 1, 4, 4 * SALARY)
    await office.approve(run)
    run = await office.pay(run)
    assert run.state is RunState.PAID
    assert (run.paid_lines, run.paid_minor, run.returned_lines) == (4, 4 * SALARY, 0)
    for person in people:
        assert await office.credited(person) == SALARY
        assert await office.notices(person) == 1
    await assert_books_right(works)


async def test_nothing_is_paid_before_a_second_officer_approves(
    works: Works, office: Office
) -> None:
    people = await team(works, "ACLEDA")
    run = await office.send(file_of([Line(holder=people[0])]))
    await pay(works, office.teller, run.id, BankId("ACLEDA"))
    assert await office.credited(people[0]) == 0
    assert (await office.run(run.id)).state is RunState.CHECKED


async def test_good_lines_are_paid_and_rejected_ones_are_listed_by_line(
    works: Works, office: Office
) -> None:
    good, wrong, last = await team(works, "ACLEDA", "WING", "CANADIA")
    lines = [Line(holder=good), Line(holder=wrong, amount=-5), Line(holder=last)]
    run = await office.pay_whole(file_of(lines))
    assert run.state is RunState.PAID
    assert (run.paid_lines, run.rejected_lines) == (2, 1)
    assert await office.codes(run) == {3: ("REJECTED", "amount_negative")}
    assert [await office.credited(p) for p in (good, wrong, last)] == [SALARY, 0, SALARY]
    await assert_books_right(works)


async def test_unknown_staff_number(works: Works, office: Office) -> None:
    one, two = await team(works, "ACLEDA", "ACLEDA")
    run = await office.send(file_of([Line(holder=one), Line(holder=two, staff_no="9999999999")]))
    assert await office.codes(run) == {3: ("REJECTED", "staff_unknown")}


async def test_another_persons_account(works: Works, office: Office) -> None:
    one, two = await team(works, "ACLEDA", "WING")
    run = await office.send(
        file_of([Line(holder=one), Line(holder=two, account_no=one.khr_number)])
    )
    assert await office.codes(run) == {3: ("REJECTED", "account_of_another")}


async def test_the_persons_own_dollar_wallet_is_not_the_riel_wallet(
    works: Works, office: Office
) -> None:
    one, two = await team(works, "ACLEDA", "WING")
    run = await office.send(
        file_of([Line(holder=one), Line(holder=two, account_no=two.usd_number)])
    )
    assert await office.codes(run) == {3: ("REJECTED", "account_of_another")}


async def test_unknown_account(works: Works, office: Office) -> None:
    one, two = await team(works, "ACLEDA", "WING")
    run = await office.send(file_of([Line(holder=one), Line(holder=two, account_no="1234567890")]))
    assert await office.codes(run) == {3: ("REJECTED", "account_unknown")}


async def test_two_lines_for_one_person(works: Works, office: Office) -> None:
    one, two = await team(works, "ACLEDA", "WING")
    run = await office.pay_whole(file_of([Line(holder=one), Line(holder=two), Line(holder=one)]))
    assert await office.codes(run) == {4: ("REJECTED", "duplicate_person")}
    assert (await office.lines(run))[0].other_line == 2
    assert await office.credited(one) == SALARY


async def test_two_lines_for_one_person_with_different_amounts_pay_neither(
    works: Works, office: Office
) -> None:
    one, two = await team(works, "ACLEDA", "WING")
    lines = [Line(holder=one), Line(holder=two), Line(holder=one, amount=1_400_000)]
    run = await office.pay_whole(file_of(lines))
    assert await office.codes(run) == {
        2: ("HELD", "duplicate_differs"),
        4: ("REJECTED", "duplicate_person"),
    }
    assert (run.state, run.held_lines, run.held_minor) == (RunState.PAID, 1, SALARY)
    assert await office.credited(one) == 0
    await assert_books_right(works)


async def test_a_name_written_otherwise_is_remarked_on_and_paid(
    works: Works, office: Office
) -> None:
    one, two = await team(works, "ACLEDA", "WING")
    run = await office.pay_whole(
        file_of([Line(holder=one, name_latin="CHAN Other"), Line(holder=two)])
    )
    assert await office.codes(run) == {2: ("PAID", "name_differs")}
    assert run.flagged_lines == 1


async def test_zero_width_spaces_and_case_make_no_other_name(works: Works, office: Office) -> None:
    (one,) = await team(works, "ACLEDA")
    line = Line(
        holder=one,
        name_khmer="\u200b".join(one.name_khmer),
        name_latin=one.name_latin.upper().replace(" ", "  "),
    )
    run = await office.send(file_of([line]))
    assert (run.accepted_lines, run.flagged_lines) == (1, 0)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (HolderStatus.LEFT, "person_left"),
        (HolderStatus.RETIRED, "person_retired"),
        (HolderStatus.DECEASED, "person_deceased"),
    ],
)
async def test_who_has_left_is_held(
    works: Works, office: Office, status: HolderStatus, code: str
) -> None:
    one, gone = await team(works, "ACLEDA", "WING")
    await _standing(works, gone.id, status)
    run = await office.pay_whole(file_of([Line(holder=one), Line(holder=gone)]))
    assert await office.codes(run) == {3: ("HELD", code)}
    assert (run.state, await office.credited(gone)) == (RunState.PAID, 0)


async def test_salary_lands_on_a_frozen_or_blocked_smart_id_and_is_remarked_on(
    works: Works, office: Office
) -> None:
    frozen, blocked = await team(works, "ACLEDA", "ACLEDA")

    async def stop(work: Work) -> None:
        await smart_ids.freeze_payment(work, [frozen.smart_id_id], by=Party.HOLDER)
        await smart_ids.block(work, [blocked.smart_id_id], by=Party.BANK)

    await works.perform(SYSTEM, BankId("ACLEDA"), stop)
    run = await office.pay_whole(file_of([Line(holder=frozen), Line(holder=blocked)]))
    assert await office.codes(run) == {
        2: ("PAID", "smart_id_frozen"),
        3: ("PAID", "smart_id_blocked"),
    }
    assert [await office.credited(p) for p in (frozen, blocked)] == [SALARY, SALARY]


async def test_a_wallet_closed_before_the_check_rejects_its_line(
    works: Works, office: Office
) -> None:
    one, closed = await team(works, "ACLEDA", "ACLEDA")
    await _close(works, closed)
    run = await office.send(file_of([Line(holder=one), Line(holder=closed)]))
    assert await office.codes(run) == {3: ("REJECTED", "no_wallet")}


async def test_a_wallet_closed_after_approval_returns_its_line(
    works: Works, office: Office
) -> None:
    one, closed = await team(works, "ACLEDA", "ACLEDA")
    run = await office.send(file_of([Line(holder=one), Line(holder=closed)]))
    await office.approve(run)
    await _close(works, closed)
    run = await office.pay(run)
    assert await office.codes(run) == {3: ("RETURNED", "wallet_closed")}
    assert (run.state, run.paid_lines, run.returned_minor) == (RunState.PAID, 1, SALARY)
    assert await office.notices(closed) == 0
    await assert_books_right(works)


async def test_some_of_another_agencys_people_are_rejected_line_by_line(
    works: Works, office: Office
) -> None:
    one, two = await team(works, "ACLEDA", "WING")
    (stranger,) = await team(works, "ACLEDA", agency="MOEYS")
    run = await office.send(file_of([Line(holder=p) for p in (one, two, stranger)]))
    assert await office.codes(run) == {4: ("REJECTED", "other_agency")}
    assert run.state is RunState.CHECKED


async def test_another_agencys_file_is_refused_whole(works: Works, office: Office) -> None:
    (own,) = await team(works, "ACLEDA")
    strangers = await team(works, "ACLEDA", "WING", agency="MOEYS")
    run = await office.send(file_of([Line(holder=p) for p in (own, *strangers)]))
    assert (run.state, faults(run)) == (RunState.REFUSED, [(FileCode.OTHER_AGENCY_FILE, 0)])


async def test_a_file_with_no_payable_line_is_refused(works: Works, office: Office) -> None:
    (one,) = await team(works, "ACLEDA")
    run = await office.send(file_of([Line(holder=one, amount=0)]))
    assert (run.state, faults(run)) == (RunState.REFUSED, [(FileCode.NOTHING_TO_PAY, 0)])
    assert await office.codes(run) == {2: ("REJECTED", "amount_zero")}


@pytest.mark.parametrize(
    ("old", "new", "code", "line_no"),
    [
        (f"TOTAL,1,{SALARY}", "", FileCode.CONTROL_ROW_MISSING, 3),
        ("TOTAL,1,", "TOTAL,9,", FileCode.COUNT_WRONG, 3),
        ("TOTAL,1,", "TOTAL,2,", FileCode.TOTAL_ROW_COUNTED, 3),
        (f"TOTAL,1,{SALARY}", f"TOTAL,1,{SALARY + 1}", FileCode.SUM_WRONG, 3),
        ("staff_no,", "number,", FileCode.HEADER_WRONG, 1),
        ("2026-01,1", "2026-99,1", FileCode.PERIOD_INVALID, 2),
    ],
)
async def test_nothing_is_paid_from_a_file_with_a_file_level_fault(
    works: Works, office: Office, old: str, new: str, code: FileCode, line_no: int
) -> None:
    (one,) = await team(works, "ACLEDA")
    data = file_of([Line(holder=one)]).decode().replace(old, new).encode()
    run = await office.send(data)
    assert (run.state, faults(run)[0]) == (RunState.REFUSED, (code, line_no))
    with pytest.raises(Refused) as refused:
        await office.approve(run)
    assert refused.value.reason is Reason.ILLEGAL_TRANSITION
    await office.pay(run)
    assert await office.credited(one) == 0
    await assert_books_right(works)


async def test_the_same_file_twice_is_refused_by_its_hash(works: Works, office: Office) -> None:
    (one,) = await team(works, "ACLEDA")
    data = file_of([Line(holder=one)])
    first = await office.pay_whole(data)
    with pytest.raises(Refused) as refused:
        await office.upload(data)
    assert refused.value.reason is Reason.SALARY_FILE_REPEATED
    assert refused.value.facts == {"run_id": str(first.id)}
    assert (await office.credited(one), await office.notices(one)) == (SALARY, 1)


async def test_the_same_file_sent_twice_at_once_is_taken_once(works: Works, office: Office) -> None:
    (one,) = await team(works, "ACLEDA")
    data = file_of([Line(holder=one)])
    answers = await asyncio.gather(*(office.upload(data) for _ in range(4)), return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1


async def test_the_same_period_and_half_twice_is_refused(works: Works, office: Office) -> None:
    one, two = await team(works, "ACLEDA", "WING")
    first = await office.pay_whole(file_of([Line(holder=one)]))
    again = await office.send(file_of([Line(holder=one), Line(holder=two)]))
    assert (again.state, faults(again)) == (RunState.REFUSED, [(FileCode.PERIOD_REPEATED, 0)])
    assert again.faults[0].facts["run_id"] == str(first.id)
    assert await office.credited(one) == SALARY
    other_half = await office.send(file_of([Line(holder=one)], half=2))
    assert other_half.state is RunState.CHECKED


async def test_a_refused_file_leaves_its_period_free(works: Works, office: Office) -> None:
    (one,) = await team(works, "ACLEDA")
    data = file_of([Line(holder=one)])
    refused = await office.send(data.replace(b"TOTAL,1", b"TOTAL,7"))
    assert refused.state is RunState.REFUSED
    assert (await office.pay_whole(data)).state is RunState.PAID


async def test_a_file_is_recalled_before_approval_and_not_after(
    works: Works, office: Office
) -> None:
    (one,) = await team(works, "ACLEDA")
    data = file_of([Line(holder=one)])
    run = await office.send(data)
    await office.recall(run)
    recalled = await office.run(run.id)
    assert (recalled.state, faults(recalled)) == (RunState.REFUSED, [(FileCode.RECALLED, 0)])
    again = await office.send(data)
    await office.approve(again)
    with pytest.raises(Refused) as refused:
        await office.recall(again)
    assert refused.value.reason is Reason.ILLEGAL_TRANSITION


async def test_the_maker_is_not_the_checker(works: Works, office: Office) -> None:
    (one,) = await team(works, "ACLEDA")
    office.maker = office.checker = officer(Role.MAKER, Role.CHECKER)
    run = await office.send(file_of([Line(holder=one)]))
    with pytest.raises(Refused) as refused:
        await office.approve(run)
    assert refused.value.reason is Reason.FOUR_EYES

    async def force(work: Work) -> None:
        await work.execute(
            "update salary_runs set state = 'APPROVED', checker = maker, approved_at = now()"
        )

    with pytest.raises(CheckViolation):
        await works.perform(SYSTEM, None, force)


async def test_an_approval_is_of_the_file_that_was_looked_at(works: Works, office: Office) -> None:
    (one,) = await team(works, "ACLEDA")
    run = await office.send(file_of([Line(holder=one)]))
    with pytest.raises(Refused) as refused:
        await office.approve(run, sha256="00" * 32)
    assert refused.value.reason is Reason.SALARY_FILE_CHANGED


async def test_a_wrong_code_approves_nothing(works: Works, office: Office) -> None:
    (one,) = await team(works, "ACLEDA")
    run = await office.send(file_of([Line(holder=one)]))

    async def wrong(work: Work) -> Declined | None:
        return Declined(reason=Reason.OTP_WRONG)

    outcome = await office.approve(run, second_factor=wrong)
    assert outcome == Declined(reason=Reason.OTP_WRONG)
    assert (await office.run(run.id)).state is RunState.CHECKED


async def test_roles_and_agencies_are_kept_apart(works: Works, office: Office) -> None:
    (one,) = await team(works, "ACLEDA")
    run = await office.send(file_of([Line(holder=one)]))
    with pytest.raises(Refused) as refused:
        await office.approve(run, by=officer(Role.MAKER))
    assert refused.value.reason is Reason.FORBIDDEN
    with pytest.raises(Refused) as refused:
        await office.approve(run, by=officer(Role.CHECKER, agency="MOEYS"))
    assert refused.value.reason is Reason.NOT_FOUND
    office.maker = officer(Role.CHECKER)
    with pytest.raises(Refused) as refused:
        await office.upload(b"x")
    assert refused.value.reason is Reason.FORBIDDEN


async def test_a_file_over_the_limit_is_not_taken(works: Works, office: Office) -> None:
    upload = Upload(sha256=bytes(32), size_bytes=LARGEST_FILE_BYTES + 1)
    with pytest.raises(Refused) as refused:
        await works.perform(
            office.maker.actor, None, lambda work: receive(work, office.maker, upload, [])
        )
    assert refused.value.reason is Reason.TOO_LARGE


async def test_banks_see_their_own_lines_alone(works: Works, office: Office) -> None:
    one, two = await team(works, "ACLEDA", "WING")
    await office.send(file_of([Line(holder=one), Line(holder=two)]))

    async def seen(work: Work) -> tuple[int, int]:
        lines: int = await work.value("select count(*) from salary_lines")
        parts: int = await work.value("select count(*) from salary_files")
        return lines, parts

    assert await works.read(SYSTEM, BankId("WING"), seen) == (1, 0)
    assert await works.read(SYSTEM, None, seen) == (2, 1)


async def test_lines_are_listed_by_state_in_pages(works: Works, office: Office) -> None:
    people = await world.people(works, 5)
    run = await office.pay_whole(file_of([Line(holder=person) for person in people]))
    paid = await office.lines(run, LineState.PAID)
    assert [line.line_no for line in paid] == [2, 3, 4, 5, 6]
    assert await office.lines(run, LineState.HELD) == []
    assert await office.lines(run) == []


async def test_the_jobs_are_wanted_with_the_act_that_needs_them(
    works: Works, office: Office
) -> None:
    one, two = await team(works, "ACLEDA", "WING")
    run_id = await office.upload(file_of([Line(holder=one), Line(holder=two)]))
    assert await office.count("select count(*) from jobs where name = 'salary.check'") == 1
    await check(works, run_id)
    assert isinstance(await office.approve(await office.run(run_id)), Done)
    assert await office.count("select count(*) from jobs where name = 'salary.pay'") == 2


async def test_garbage_of_fifty_megabytes_is_refused(works: Works, office: Office) -> None:
    await world.establish(works)
    run = await office.send(HEADER.encode() + b"\n" + b"\xfenoise\n" * (50 * 131_072))
    assert (run.state, faults(run)) == (RunState.REFUSED, [(FileCode.NOT_UTF8, 2)])


async def _standing(works: Works, holder_id: HolderId, status: HolderStatus) -> None:
    await works.perform(SYSTEM, None, lambda work: holders.advance(work, [holder_id], status))


async def _close(works: Works, holder: world.WorldHolder) -> None:
    async def act(work: Work) -> None:
        treasury = await house_account(work, AccountKind.TREASURY, Currency.KHR)
        book = await open_book(work, accounts=[holder.khr, treasury])
        assert isinstance(book.close(TransferId(new_id()), holder.khr, treasury), Posted)
        await book.write()

    await works.perform(SYSTEM, holder.bank, act)
