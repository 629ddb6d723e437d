"""Security row B16: four eyes by the tables themselves, whatever program writes to them.

Every table that holds what two people must agree to is written to here as the application's own
role, past all of the program's rules.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from tests.desk import Desk
from wallet.access import approvals
from wallet.access.approvals import Approval, ApprovalState, hash_of
from wallet.access.members import Permission
from wallet.clock import TurnedClock
from wallet.database import CheckViolation, Database
from wallet.identifiers import Secret, new_id
from wallet.outcomes import Refused
from wallet.work import SYSTEM

PAYLOAD = hash_of({"what": "was shown"})
FOUR_EYES = [
    ("approvals", "approvals_four_eyes"),
    ("refunds", "refunds_four_eyes"),
    ("terms", "terms_four_eyes"),
    ("salary_runs", "salary_runs_four_eyes"),
    ("role_changes", "role_changes_four_eyes"),
    ("role_changes", "role_changes_not_own"),
    ("emergency_access", "emergency_access_four_eyes"),
]


@pytest.fixture(autouse=True)
async def officers(desk: Desk) -> None:
    for login in ("maker.mcs", "checker.mcs", "both.mcs"):
        await desk.enrol(login)


async def asked(desk: Desk) -> Approval:
    return await desk.works.perform(
        desk.member("maker.mcs").actor,
        None,
        lambda work: approvals.request(
            work, "test.act", str(new_id()), PAYLOAD, permission=Permission.SALARY_SEND
        ),
    )


async def approved(desk: Desk) -> Approval:
    approval = await asked(desk)
    secret = Secret(desk.code())
    done = await desk.works.perform(
        desk.member("checker.mcs").actor,
        None,
        lambda work: approvals.approve(
            work,
            desk.vault,
            approval.id,
            act="test.act",
            payload_hash=PAYLOAD,
            code=secret,
            permission=Permission.SALARY_APPROVE,
        ),
    )
    assert isinstance(done, Approval)
    return done


async def raw(desk: Desk, sql: str, *arguments: Any) -> str:
    return await desk.works.perform(SYSTEM, None, lambda work: work.execute(sql, *arguments))


async def test_every_table_of_what_two_agree_to_has_the_constraint_and_it_is_enforced(
    database: Database,
) -> None:
    for table, constraint in FOUR_EYES:
        [row] = await database.rows(
            "select convalidated, pg_get_constraintdef(oid) as told from pg_constraint"
            " where conname = $1 and conrelid = $2::regclass and contype = 'c'",
            constraint,
            table,
        )
        assert row["convalidated"]
        assert "<>" in row["told"] or "IS DISTINCT FROM" in row["told"]


CHANGES: list[tuple[str, Sequence[str]]] = [
    ("approvals_bound", ["payload_hash = sha256('another')"]),
    ("approvals_bound", ["subject = 'another'"]),
    ("approvals_bound", ["act = 'another'"]),
    ("approvals_bound", ["maker_id = checker_id, checker_id = maker_id"]),
    ("approvals_bound", ["expires_at = expires_at + interval '1 day'"]),
    ("approvals_steps", ["checker_id = (select id from staff where login = 'both.mcs')"]),
    ("approvals_steps", ["state = 'REQUESTED', checker_id = null, approved_at = null"]),
    ("approvals_a_day", ["state = 'EXECUTED', executed_at = expires_at"]),
    (
        "approvals_steps",
        [
            "state = 'EXECUTED', executed_at = approved_at",
            "state = 'APPROVED', executed_at = null",
        ],
    ),
    ("approvals_steps", ["state = 'EXPIRED'", "state = 'EXECUTED', executed_at = approved_at"]),
]


async def test_an_approved_request_is_not_bent_in_the_table(desk: Desk, clock: TurnedClock) -> None:
    """Payload, people and moment are what was shown; a step is never taken back or twice."""
    for constraint, changes in CHANGES:
        clock.advance(timedelta(seconds=30))
        approval = await approved(desk)
        for change in changes[:-1]:
            await raw(desk, f"update approvals set {change} where id = $1", approval.id)
        with pytest.raises(CheckViolation) as violated:
            await raw(desk, f"update approvals set {changes[-1]} where id = $1", approval.id)
        assert constraint in (violated.value.constraint_name or ""), changes


async def test_nothing_is_born_approved_and_nothing_is_deleted(
    desk: Desk, database_url: str
) -> None:
    approval = await approved(desk)
    with pytest.raises(CheckViolation) as violated:
        await raw(
            desk,
            "insert into approvals (id, bank, act, subject, payload_hash, maker_id, checker_id,"
            " state, requested_at, expires_at, approved_at)"
            " select gen_random_uuid(), bank, act, 'another', payload_hash, maker_id, checker_id,"
            " 'APPROVED', requested_at, expires_at, approved_at from approvals where id = $1",
            approval.id,
        )
    assert violated.value.constraint_name == "approvals_steps"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await raw(desk, "delete from approvals where id = $1", approval.id)


async def test_one_person_is_not_both_in_the_table_of_changes_and_of_reviews(desk: Desk) -> None:
    await desk.enrol("bopha")
    staff_id, other = desk.people["bopha"].id, desk.people["maker.mcs"].id
    with pytest.raises(CheckViolation, match="role_changes_four_eyes"):
        await raw(
            desk,
            "insert into role_changes (id, staff_id, roles, roles_before, why, maker, checker,"
            " asked_at, done_at) values (gen_random_uuid(), $2, '{agent}', '{}', 'x', $1, $1,"
            " now(), now())",
            staff_id,
            other,
        )
    with pytest.raises(CheckViolation, match="role_changes_not_own"):
        await raw(
            desk,
            "insert into role_changes (id, staff_id, roles, roles_before, why, maker, checker,"
            " asked_at, done_at) values (gen_random_uuid(), $1, '{agent}', '{}', 'x', $2, $1,"
            " now(), now())",
            staff_id,
            other,
        )
    with pytest.raises(CheckViolation, match="emergency_access_four_eyes"):
        await raw(
            desk,
            "insert into emergency_access (id, staff_id, reason, opened_at, expires_at,"
            " reviewed_by, reviewed_at, justified, note) values (gen_random_uuid(), $1,"
            " 'twenty letters of reason', now(), now() + interval '15 minutes', $1, now(), true,"
            " 'x')",
            staff_id,
        )
    with pytest.raises(CheckViolation, match="emergency_access_short"):
        await raw(
            desk,
            "insert into emergency_access (id, staff_id, reason, opened_at, expires_at)"
            " values (gen_random_uuid(), $1, 'twenty letters of reason', now(),"
            " now() + interval '16 minutes')",
            staff_id,
        )


async def executed_once(desk: Desk, at_once: int) -> None:
    approval = await approved(desk)

    async def execute() -> Any:
        return await desk.works.perform(
            desk.member("checker.mcs").actor,
            None,
            lambda work: approvals.execute(work, approval.id, act="test.act", payload_hash=PAYLOAD),
        )

    answers = await asyncio.gather(*(execute() for _ in range(at_once)), return_exceptions=True)
    done = [one for one in answers if isinstance(one, Approval)]
    assert [one.state for one in done] == [ApprovalState.EXECUTED]
    assert all(isinstance(one, Refused) for one in answers if not isinstance(one, Approval))


async def test_of_many_at_once_one_executes(desk: Desk) -> None:
    await executed_once(desk, 20)


@pytest.mark.long
async def test_of_five_hundred_races_none_executes_twice(desk: Desk, clock: TurnedClock) -> None:
    """Row B16's figure: 500 approvals, each executed by six at once."""
    for _ in range(500):
        clock.advance(timedelta(seconds=30))
        await executed_once(desk, 6)
