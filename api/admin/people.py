"""Staff as admins see and change them.

Promise: a change of roles is asked for by one admin and made by another, proven by a fresh time
code in a session that a passkey opened; whoever it concerns is signed out. Who calls: admins.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.wire import Body, StepUp
from wallet.access import approvals, roles, staff
from wallet.access.approvals import Approval
from wallet.access.members import Permission
from wallet.identifiers import ApprovalId, Secret, StaffId
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.work import Work

MOST: Final = 1_000


class ShownStaff(Struct, frozen=True, kw_only=True):
    """One of the staff. `disabled_at`: since when they are let in no more."""

    id: UUID
    kind: Annotated[str, Meta(examples=["bank_clerk"])]
    login: Annotated[str, Meta(examples=["dara.sok"])]
    name: Annotated[str, Meta(examples=["Sok Dara"])]
    roles: Annotated[list[str], Meta(examples=[["maker"]])]
    bank: Annotated[str | None, Meta(examples=["ACLEDA"])]
    agency: Annotated[str | None, Meta(examples=[None])]
    passkeys: Annotated[int, Meta(examples=[1])]
    created_at: datetime
    disabled_at: datetime | None


class ShownRole(Struct, frozen=True, kw_only=True):
    role: Annotated[str, Meta(examples=["checker"])]
    permissions: Annotated[list[str], Meta(examples=[["salary.approve", "terms.approve"]])]


class AskRoles(Body, frozen=True, kw_only=True):
    """The roles somebody shall have instead of those they have."""

    roles: Annotated[
        list[Annotated[str, Meta(max_length=32, examples=["maker"])]],
        Meta(min_length=1, max_length=10, examples=[["maker", "checker"]]),
    ]
    why: Annotated[str, Meta(min_length=3, max_length=500, examples=["Takes over from Bopha."])]


class RoleChange(Struct, frozen=True, kw_only=True):
    """REQUESTED, for 24 hours, or DONE."""

    change_id: UUID
    staff_id: UUID
    roles: Annotated[list[str], Meta(examples=[["checker", "maker"]])]
    state: Annotated[str, Meta(examples=["REQUESTED"])]


class LetGo(Struct, frozen=True, kw_only=True):
    staff_id: UUID
    state: Annotated[str, Meta(examples=["DISABLED"])]


@get(
    "/staff",
    guards=[with_permission(Permission.STAFF_CHANGE)],
    summary="Everybody who works here, and as what",
)
async def everybody(caller: StaffCaller, resources: Resources) -> list[ShownStaff]:
    found = await resources.works.read(caller.actor, None, lambda work: staff.everybody(work, MOST))
    return [ShownStaff(**{**msgspec.structs.asdict(one), "kind": one.kind.value}) for one in found]


@get(
    "/roles",
    guards=[with_permission(Permission.STAFF_CHANGE)],
    summary="What each role allows",
)
async def allowed(caller: StaffCaller, resources: Resources) -> list[ShownRole]:
    found = await resources.works.read(caller.actor, None, roles.allowed_by)
    return [ShownRole(role=role, permissions=given) for role, given in found.items()]


@post(
    "/staff/{staff_id:uuid}/roles",
    guards=[with_permission(Permission.STAFF_CHANGE)],
    summary="Ask that somebody's roles be changed",
)
async def ask_roles(
    staff_id: UUID, data: AskRoles, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> RoleChange:
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        None,
        roles.ACT,
        idempotency_key,
        msgspec.json.encode([staff_id, data]),
        lambda work: roles.ask(work, StaffId(staff_id), frozenset(data.roles), data.why),
    )
    return msgspec.convert(answered(outcome), RoleChange)


@post(
    "/role-changes/{change_id:uuid}/approve",
    status_code=200,
    guards=[with_permission(Permission.STAFF_APPROVE)],
    summary="Approve a change of roles another admin asked for",
)
async def approve_roles(
    change_id: UUID, data: StepUp, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> RoleChange:
    """Neither by who asked, nor by whom it concerns."""
    vault = resources.vault

    async def second(work: Work, approval_id: ApprovalId, payload: bytes) -> Approval | Declined:
        return await approvals.approve(
            work,
            vault,
            approval_id,
            act=roles.ACT,
            payload_hash=payload,
            code=Secret(data.totp),
            permission=Permission.STAFF_APPROVE,
        )

    outcome, _ = await resources.works.perform_once(
        caller.actor,
        None,
        f"{roles.ACT}.approve",
        idempotency_key,
        # Keyed: a plain hash of six digits would be as good as the digits.
        vault.blind_index("admin.roles.approve", f"{change_id} {data.totp}"),
        lambda work: roles.approve(work, change_id, second),
    )
    return msgspec.convert(answered(outcome), RoleChange)


@post(
    "/staff/{staff_id:uuid}/disable",
    status_code=200,
    guards=[with_permission(Permission.STAFF_CHANGE)],
    summary="Let somebody in no more, at once",
)
async def disable(
    staff_id: UUID, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> LetGo:
    """One admin is enough to shut a door. Not one's own: the last admin stays."""
    if caller.id == staff_id:
        raise Refused(Reason.FOUR_EYES)

    async def act(work: Work) -> Outcome:
        await staff.disable(work, StaffId(staff_id))
        return Done(answer={"staff_id": str(staff_id), "state": "DISABLED"})

    outcome, _ = await resources.works.perform_once(
        caller.actor, None, "staff.disable", idempotency_key, staff_id.bytes, act
    )
    return msgspec.convert(answered(outcome), LetGo)


HANDLERS: Final[list[Any]] = [everybody, allowed, ask_roles, approve_roles, disable]
