"""Roles are data, and nobody gives them to anybody alone."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.behind import rows_of_all_banks
from tests.desk import Desk
from wallet.access import approvals, roles, staff_sessions
from wallet.access.approvals import Approval
from wallet.access.members import Member, Permission, Role, StaffKind, member_of
from wallet.clock import TurnedClock
from wallet.database import CheckViolation, Database
from wallet.identifiers import ApprovalId, Secret, StaffId
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.work import SYSTEM, Work

ROLE_ACTS = "select * from audit where act ~ '^staff.roles' order by seq"
CHECKER = frozenset({Role.CHECKER.value})


@pytest.fixture(autouse=True)
async def admins(desk: Desk) -> None:
    for login in ("admin.one", "admin.two", "admin.three", "maker.mcs", "dara"):
        await desk.enrol(login)


async def ask(
    desk: Desk, whose: str = "maker.mcs", wanted: frozenset[str] = CHECKER, by: str = "admin.one"
) -> UUID:
    staff_id = desk.people[whose].id
    outcome = await desk.works.perform(
        desk.member(by).actor, None, lambda work: roles.ask(work, staff_id, wanted, "takes over")
    )
    assert isinstance(outcome, Done)
    return UUID(outcome.answer["change_id"])


async def approve(desk: Desk, change: UUID, by: str = "admin.two", code: str = "") -> Outcome:
    secret = Secret(code or desk.code())

    async def second(work: Work, approval_id: ApprovalId, payload: bytes) -> Approval | Declined:
        return await approvals.approve(
            work,
            desk.vault,
            approval_id,
            act=roles.ACT,
            payload_hash=payload,
            code=secret,
            permission=Permission.STAFF_APPROVE,
        )

    return await desk.works.perform(
        desk.member(by).actor, None, lambda work: roles.approve(work, change, second)
    )


async def refused(attempt: Any) -> Reason:
    with pytest.raises(Refused) as refusal:
        await attempt
    return refusal.value.reason


async def now(desk: Desk, login: str) -> Member:
    staff_id = desk.people[login].id
    return await desk.works.read(SYSTEM, None, lambda work: member_of(work, staff_id))


async def test_one_admin_asks_another_makes_it_and_the_one_concerned_is_signed_out(
    desk: Desk, database: Database
) -> None:
    token = (await desk.sign_in("maker.mcs")).token.reveal()
    change = await ask(desk)
    assert (await now(desk, "maker.mcs")).roles == {"maker"}, "asked for is not done"
    outcome = await approve(desk, change)
    assert isinstance(outcome, Done)
    after = await now(desk, "maker.mcs")
    assert after.roles == {"checker"}
    assert after.needs_passkey
    assert after.may(Permission.SALARY_APPROVE)
    assert not after.may(Permission.SALARY_SEND)
    gone = staff_sessions.recognise(desk.works, StaffKind.AGENCY_OFFICER, token)
    assert await refused(gone) is Reason.UNAUTHENTICATED
    rows = await rows_of_all_banks(database, ROLE_ACTS)
    told = [(row["act"], row["actor_id"], row["reason"]) for row in rows]
    one, two = (str(desk.people[login].id) for login in ("admin.one", "admin.two"))
    assert [(act, who) for act, who, _ in told] == [
        ("staff.roles.request", one),
        ("staff.roles.approve", two),
        ("staff.roles", two),
    ]
    assert told[-1][2] == "maker -> checker: takes over"


async def test_neither_the_one_who_asked_nor_the_one_concerned_approves(
    desk: Desk, database_url: str
) -> None:
    import asyncpg

    change = await ask(desk)
    assert await refused(approve(desk, change, by="admin.one")) is Reason.FOUR_EYES
    owner = await asyncpg.connect(database_url)
    await owner.execute("insert into staff_roles values ('trainee', false, array['admin'])")
    await owner.close()
    theirs = await ask(desk, "admin.two", frozenset({"admin", "trainee"}))
    assert await refused(approve(desk, theirs, by="admin.two")) is Reason.FOUR_EYES
    own = await ask(desk, "dara", frozenset({"agent", "supervisor"}))
    assert isinstance(await approve(desk, own, by="admin.three"), Done)


async def test_who_is_no_admin_neither_asks_nor_approves(desk: Desk) -> None:
    assert await refused(ask(desk, by="dara")) is Reason.FORBIDDEN
    assert await refused(ask(desk, by="maker.mcs")) is Reason.FORBIDDEN
    change = await ask(desk)
    assert await refused(approve(desk, change, by="dara")) is Reason.FORBIDDEN
    assert (await now(desk, "maker.mcs")).roles == {"maker"}


async def test_roles_that_are_as_they_were_or_not_for_this_kind_are_refused(desk: Desk) -> None:
    for wanted in ({"maker"}, set(), {"admin"}, {"checker", "supervisor"}, {"emperor"}):
        assert await refused(ask(desk, wanted=frozenset(wanted))) is Reason.CONFLICT, wanted


async def test_a_change_is_bound_to_what_they_had_when_it_was_asked_for(
    desk: Desk, clock: TurnedClock
) -> None:
    first = await ask(desk)
    second = await ask(desk, wanted=frozenset({"maker", "checker"}), by="admin.three")
    assert isinstance(await approve(desk, first), Done)
    clock.advance(timedelta(seconds=30))
    assert await refused(approve(desk, second)) is Reason.CONFLICT
    assert await refused(approve(desk, first)) is Reason.ILLEGAL_TRANSITION


async def test_a_wrong_code_and_a_day_gone_by_change_nothing(
    desk: Desk, clock: TurnedClock
) -> None:
    change = await ask(desk)
    wrong = await approve(desk, change, code="000000")
    assert isinstance(wrong, Declined)
    assert wrong.reason is Reason.OTP_WRONG
    clock.advance(timedelta(hours=24))
    assert await approve(desk, change) == Declined(reason=Reason.APPROVAL_EXPIRED)
    assert (await now(desk, "maker.mcs")).roles == {"maker"}


async def test_a_change_asked_for_and_altered_in_the_table_is_void(
    desk: Desk, database: Database
) -> None:
    """The second admin was shown {checker}: a row that says more by then is another payload."""
    change = await ask(desk)
    await desk.works.perform(
        SYSTEM,
        None,
        lambda work: work.execute(
            "update role_changes set roles = '{checker,maker}' where id = $1", change
        ),
    )
    assert await refused(approve(desk, change)) is Reason.CONFLICT


async def test_what_a_role_allows_is_looked_up_each_time_and_no_application_changes_it(
    desk: Desk, database_url: str
) -> None:
    import asyncpg

    token = (await desk.sign_in("dara")).token.reveal()

    async def seen() -> frozenset[str]:
        member = await staff_sessions.recognise(desk.works, StaffKind.SUPPORT, token)
        return member.permissions

    assert Permission.REFUND_ASK in await seen()
    take = "delete from role_permissions where role = 'agent' and permission = 'refund.ask'"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await desk.works.perform(SYSTEM, None, lambda work: work.execute(take))
    owner = await asyncpg.connect(database_url)
    await owner.execute(take)
    await owner.close()
    assert Permission.REFUND_ASK not in await seen(), "from that moment"


async def test_every_permission_is_given_by_some_role_and_known_to_the_program(
    desk: Desk,
) -> None:
    allowed = await desk.works.read(SYSTEM, None, roles.allowed_by)
    assert {one for given in allowed.values() for one in given} == set(Permission)
    assert set(allowed) == set(Role)


async def test_whoever_agrees_to_what_another_asked_needs_a_passkey(database: Database) -> None:
    """A role that comes later and approves without one is caught here."""
    bare = await database.rows(
        "select r.role from staff_roles r join role_permissions p using (role)"
        " where not r.needs_passkey"
        " and (p.permission ~ '\\.(approve|review)$' or p.permission ~ '^staff\\.')"
    )
    assert not bare


async def test_the_table_refuses_a_role_that_is_not_for_this_kind(desk: Desk) -> None:
    for wanted in ("admin", "emperor"):
        with pytest.raises(CheckViolation):
            await desk.works.perform(
                SYSTEM,
                None,
                lambda work, wanted=wanted: work.execute(
                    "update staff set roles = array[$2] where id = $1",
                    StaffId(desk.people["dara"].id),
                    wanted,
                ),
            )
