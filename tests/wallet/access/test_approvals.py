"""Four eyes: two people, one payload, one time."""

import asyncio
from datetime import timedelta

import pytest

from tests.desk import Desk
from wallet.access import approvals
from wallet.access.approvals import Approval, ApprovalState, hash_of
from wallet.access.members import Permission, Role
from wallet.clock import TurnedClock
from wallet.database import CheckViolation
from wallet.identifiers import ApprovalId, BankId, Secret, new_id
from wallet.outcomes import Declined, Reason, Refused
from wallet.work import SYSTEM

ACT = "salary.pay"
ASKS, APPROVES = Permission.SALARY_SEND, Permission.SALARY_APPROVE
PAYLOAD = hash_of({"file": "abc", "sum": 1_000_000})


@pytest.fixture(autouse=True)
async def staff_of_mcs(desk: Desk) -> None:
    for login in ("maker.mcs", "checker.mcs", "both.mcs", "checker.moeys"):
        await desk.enrol(login)


async def request(desk: Desk, login: str = "maker.mcs", payload: bytes = PAYLOAD) -> Approval:
    return await desk.works.perform(
        desk.member(login).actor,
        None,
        lambda work: approvals.request(work, ACT, "run-1", payload, permission=ASKS),
    )


async def approve(
    desk: Desk,
    approval: Approval,
    login: str = "checker.mcs",
    *,
    payload: bytes = PAYLOAD,
    code: str | None = None,
    act: str = ACT,
) -> Approval | Declined:
    secret = Secret(desk.code() if code is None else code)
    return await desk.works.perform(
        desk.member(login).actor,
        None,
        lambda work: approvals.approve(
            work,
            desk.vault,
            approval.id,
            act=act,
            payload_hash=payload,
            code=secret,
            permission=APPROVES,
        ),
    )


async def execute(desk: Desk, approval: Approval, payload: bytes = PAYLOAD) -> Approval | Declined:
    return await desk.works.perform(
        desk.member("checker.mcs").actor,
        None,
        lambda work: approvals.execute(work, approval.id, act=ACT, payload_hash=payload),
    )


def wrong(left: int) -> Declined:
    return Declined(reason=Reason.OTP_WRONG, facts={"tries_left": left})


async def refused(attempt: object) -> Reason:
    with pytest.raises(Refused) as refusal:
        await attempt
    return refusal.value.reason


async def test_asked_by_one_approved_by_another_done_once(desk: Desk) -> None:
    approval = await request(desk)
    approved = await approve(desk, approval)
    assert isinstance(approved, Approval)
    assert approved.state is ApprovalState.APPROVED
    done = await execute(desk, approval)
    assert isinstance(done, Approval)
    assert done.state is ApprovalState.EXECUTED
    assert await refused(execute(desk, approval)) is Reason.ILLEGAL_TRANSITION


async def test_the_maker_does_not_approve_their_own_even_with_both_roles(desk: Desk) -> None:
    approval = await request(desk, "both.mcs")
    assert await refused(approve(desk, approval, "both.mcs")) is Reason.FOUR_EYES


async def test_the_table_itself_refuses_one_person_in_both_roles(desk: Desk) -> None:
    approval = await request(desk)
    with pytest.raises(CheckViolation, match="approvals_four_eyes"):
        await desk.works.perform(
            desk.member("maker.mcs").actor,
            None,
            lambda work: work.execute(
                "update approvals set state = 'APPROVED', checker_id = maker_id,"
                " approved_at = requested_at where id = $1",
                approval.id,
            ),
        )


async def test_without_the_role_one_neither_asks_nor_approves(desk: Desk) -> None:
    assert await refused(request(desk, "checker.mcs")) is Reason.FORBIDDEN
    approval = await request(desk, "both.mcs")
    assert await refused(approve(desk, approval, "maker.mcs")) is Reason.FORBIDDEN


async def test_an_officer_of_another_agency_finds_nothing_to_approve(desk: Desk) -> None:
    approval = await request(desk)
    assert await refused(approve(desk, approval, "checker.moeys")) is Reason.NOT_FOUND


async def test_an_approval_of_one_act_is_none_of_another(desk: Desk) -> None:
    approval = await request(desk)
    assert await refused(approve(desk, approval, act="refund")) is Reason.NOT_FOUND
    unknown = await refused(
        desk.works.perform(
            desk.member("checker.mcs").actor,
            None,
            lambda work: approvals.execute(
                work, ApprovalId(new_id()), act=ACT, payload_hash=PAYLOAD
            ),
        )
    )
    assert unknown is Reason.NOT_FOUND


async def test_another_payload_is_neither_approved_nor_executed(desk: Desk) -> None:
    other = hash_of({"file": "abc", "sum": 9_000_000})
    approval = await request(desk)
    assert await refused(approve(desk, approval, payload=other)) is Reason.CONFLICT
    await approve(desk, approval)
    assert await refused(execute(desk, approval, payload=other)) is Reason.CONFLICT


async def test_asking_anew_with_another_payload_voids_what_was_approved(desk: Desk) -> None:
    approval = await request(desk)
    await approve(desk, approval)
    fresh = await request(desk, payload=hash_of({"file": "abd"}))
    assert fresh.id != approval.id
    assert await execute(desk, approval) == Declined(reason=Reason.APPROVAL_EXPIRED)


async def test_asking_again_for_the_same_is_the_same_request(desk: Desk) -> None:
    asked = await asyncio.gather(*(request(desk) for _ in range(5)), return_exceptions=True)
    ids = {found.id for found in asked if isinstance(found, Approval)}
    assert len(ids) == 1
    assert (await request(desk)).id in ids


async def test_a_wrong_code_is_counted_and_five_lock(desk: Desk, clock: TurnedClock) -> None:
    approval = await request(desk)
    answers = [await approve(desk, approval, code="000000") for _ in range(5)]
    assert answers == [wrong(left) for left in (4, 3, 2, 1, 0)]
    assert await approve(desk, approval) == Declined(reason=Reason.LOCKED)
    clock.advance(timedelta(minutes=15))
    assert isinstance(await approve(desk, approval), Approval)


async def test_a_code_used_to_sign_in_does_not_approve(desk: Desk, clock: TurnedClock) -> None:
    approval = await request(desk)
    await desk.sign_in("checker.mcs")
    assert await approve(desk, approval) == wrong(4)
    clock.advance(timedelta(seconds=30))
    assert isinstance(await approve(desk, approval), Approval)


async def test_a_day_is_all_it_has(desk: Desk, clock: TurnedClock) -> None:
    approval = await request(desk)
    clock.advance(timedelta(hours=24))
    assert await approve(desk, approval) == Declined(reason=Reason.APPROVAL_EXPIRED)
    fresh = await request(desk)
    await approve(desk, fresh)
    clock.advance(timedelta(hours=24))
    assert await execute(desk, fresh) == Declined(reason=Reason.APPROVAL_EXPIRED)


async def test_fifty_at_once_execute_it_once(desk: Desk) -> None:
    approval = await request(desk)
    await approve(desk, approval)
    answers = await asyncio.gather(
        *(execute(desk, approval) for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(answer, Approval) for answer in answers) == 1


async def test_who_is_not_staff_asks_for_nothing(desk: Desk) -> None:
    attempt = desk.works.perform(
        SYSTEM, None, lambda work: approvals.request(work, ACT, "run-1", PAYLOAD, permission=ASKS)
    )
    assert await refused(attempt) is Reason.FORBIDDEN


async def test_a_clerk_sees_only_the_requests_of_the_own_bank(desk: Desk) -> None:
    for login in ("maker.acleda", "checker.wing"):
        await desk.enrol(login)
    approval = await desk.works.perform(
        desk.member("maker.acleda").actor,
        BankId("ACLEDA"),
        lambda work: approvals.request(
            work, ACT, "pairing-1", PAYLOAD, permission=Permission.PAIRING_ASK
        ),
    )
    secret = Secret(desk.code())
    attempt = desk.works.perform(
        desk.member("checker.wing").actor,
        BankId("WING"),
        lambda work: approvals.approve(
            work,
            desk.vault,
            approval.id,
            act=ACT,
            payload_hash=PAYLOAD,
            code=secret,
            permission=Permission.PAIRING_APPROVE,
        ),
    )
    assert await refused(attempt) is Reason.NOT_FOUND
    assert Role.CHECKER in desk.member("checker.wing").roles
