"""What roles may do, as data, and who has which: changed by one admin, approved by another.

Promise: `role_permissions` alone says what a role allows and `staff_roles` whether it asks for a
passkey and for whom it is; the program names permissions, never roles, where it decides. A change
of somebody's roles is bound to what they had when it was asked for, is approved by a second admin
who is not the one concerned, ends that person's session, and is audited on both sides.

    (none) --an admin asks--> ASKED --another admin, fresh code--> DONE
                                    --24 hours, or other roles by then--> void

Tables owned: role_changes (staff_roles and role_permissions come with the migrations).
Who calls: the admins' door.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.access import approvals, staff
from wallet.access.approvals import Approval
from wallet.access.staff import Permission
from wallet.identifiers import ApprovalId, StaffId, new_id
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.work import ActorKind, Work

ACT: Final = "staff.roles"

SecondPerson = Callable[[Work, ApprovalId, bytes], Awaitable[Approval | Declined]]
"""The other admin's approval of this payload, proved with a fresh code."""


class RoleChange(Struct, frozen=True, kw_only=True):
    """One change, asked for or done."""

    id: UUID
    staff_id: StaffId
    roles: list[str]
    roles_before: list[str]
    why: str
    maker: StaffId
    checker: StaffId | None
    asked_at: datetime
    done_at: datetime | None


async def ask(work: Work, staff_id: StaffId, roles: frozenset[str], why: str) -> Outcome:
    """Ask that somebody's roles become these.

    Refuses: FORBIDDEN (no admin), NOT_FOUND, CONFLICT (`roles`: as they are already, or not for
    this kind of staff).
    """
    member = await staff.member_of(work, staff_id)
    known = {row["role"] for row in await work.rows(_ROLES_FOR, member.kind.value)}
    if not roles or not roles <= known or roles == member.roles:
        raise Refused(Reason.CONFLICT, field="roles")
    change = RoleChange(
        id=new_id(),
        staff_id=staff_id,
        roles=sorted(roles),
        roles_before=sorted(member.roles),
        why=why,
        maker=StaffId(UUID(work.actor.id)),
        checker=None,
        asked_at=work.now,
        done_at=None,
    )
    await approvals.request(
        work, ACT, str(change.id), _payload(change), permission=Permission.STAFF_CHANGE
    )
    await work.execute(
        _ADD, change.id, staff_id, change.roles, change.roles_before, why, change.maker, work.now
    )
    return Done(answer=_answer(change, "REQUESTED"))


async def approve(work: Work, change_id: UUID, second: SecondPerson) -> Outcome:
    """Approve a change another admin asked for, and make it; the person concerned is signed out.

    Declines: OTP_WRONG, LOCKED, APPROVAL_EXPIRED. Refuses: NOT_FOUND, FORBIDDEN, FOUR_EYES (who
    asked, or whose roles they are), ILLEGAL_TRANSITION (done), CONFLICT (`roles_before`: they have
    other roles by now).
    """
    if work.actor.kind is not ActorKind.ADMIN:
        raise Refused(Reason.FORBIDDEN)
    change = await work.struct(RoleChange, _LOCK, change_id)
    if change is None:
        raise Refused(Reason.NOT_FOUND)
    if change.done_at is not None:
        raise Refused(Reason.ILLEGAL_TRANSITION, state="DONE")
    if work.actor.id in (str(change.staff_id), str(change.maker)):
        raise Refused(Reason.FOUR_EYES)
    if sorted(await staff.roles_locked(work, change.staff_id)) != change.roles_before:
        raise Refused(Reason.CONFLICT, field="roles_before")
    asked = await approvals.newest(work, ACT, str(change_id))
    if asked is None:
        raise Refused(Reason.NOT_FOUND)
    approved = await second(work, asked.id, _payload(change))
    if isinstance(approved, Declined):
        return approved
    spent = await approvals.execute(work, asked.id, act=ACT, payload_hash=_payload(change))
    if isinstance(spent, Declined):
        return spent
    await work.execute(_DONE, change.id, StaffId(UUID(work.actor.id)), work.now)
    await staff.set_roles(work, change.staff_id, change.roles)
    told = f"{','.join(change.roles_before)} -> {','.join(change.roles)}: {change.why}"
    work.note(ACT, str(change.staff_id), reason=told)
    return Done(answer=_answer(change, "DONE"))


async def allowed_by(work: Work) -> dict[str, list[str]]:
    """What each role allows."""
    rows = await work.rows(_ALLOWED)
    return {row["role"]: list(row["permissions"]) for row in rows}


def _payload(change: RoleChange) -> bytes:
    return approvals.hash_of(
        [str(change.id), str(change.staff_id), change.roles, change.roles_before, change.why]
    )


def _answer(change: RoleChange, state: str) -> dict[str, Any]:
    return {
        "change_id": str(change.id),
        "staff_id": str(change.staff_id),
        "roles": change.roles,
        "state": state,
    }


_ROLES_FOR: Final = "select role from staff_roles where $1 = any(kinds)"

_ALLOWED: Final = """
select r.role, coalesce(array_agg(p.permission order by p.permission)
                        filter (where p.permission is not null), '{}') as permissions
from staff_roles r left join role_permissions p on p.role = r.role group by r.role order by r.role
"""

_ADD: Final = """
insert into role_changes (id, staff_id, roles, roles_before, why, maker, asked_at)
values ($1, $2, $3, $4, $5, $6, $7)
"""

_LOCK: Final = """
select id, staff_id, roles, roles_before, why, maker, checker, asked_at, done_at
from role_changes where id = $1 for update
"""

_DONE: Final = "update role_changes set checker = $2, done_at = $3 where id = $1"
