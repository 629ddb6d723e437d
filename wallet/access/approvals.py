"""Four eyes: what one member of staff asks for, another one approves, and is then done once.

Promise: maker and checker are two people, of the same house; the approval holds for exactly the
payload that was shown (its SHA-256); the checker proves themselves again with a fresh time code, in
a session that a passkey opened; it lasts 24 hours and is spent once. The table holds as much by
itself: two people, a payload that never changes, steps in order and once, a day.

Tables owned: approvals.

    REQUESTED --another member, fresh code--> APPROVED --the act, once--> EXECUTED
    REQUESTED, APPROVED --24 h, or asked for anew with another payload--> EXPIRED

Who calls: disputes, proposals, roles and pairing by a clerk, through their doors.
"""

import enum
import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from wallet.access import staff
from wallet.access.members import Member, Permission
from wallet.database import UniqueViolation
from wallet.identifiers import ApprovalId, Secret, StaffId, new_id
from wallet.outcomes import Declined, Reason, Refused
from wallet.vault import Vault
from wallet.work import ActorKind, Work

LIFE: Final = timedelta(hours=24)


class ApprovalState(enum.StrEnum):
    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    EXECUTED = "EXECUTED"
    EXPIRED = "EXPIRED"


class Approval(Struct, frozen=True, kw_only=True):
    """One thing that needs two people. `payload_hash` binds it to what exactly."""

    id: ApprovalId
    act: str
    subject: str
    payload_hash: bytes
    maker_id: StaffId
    checker_id: StaffId | None
    state: ApprovalState
    requested_at: datetime
    expires_at: datetime


def hash_of(payload: Any) -> bytes:
    """The SHA-256 that stands for a JSON-able payload, whatever the order of its keys."""
    return hashlib.sha256(msgspec.json.encode(payload, order="deterministic")).digest()


async def request(
    work: Work, act: str, subject: str, payload_hash: bytes, *, permission: Permission
) -> Approval:
    """Ask for a second person's approval of `act` on `subject`, as the acting member of staff.

    Asked again with the same payload, the open request is answered; with another payload, the open
    one (approved or not) is void and a new one begins. Refuses: FORBIDDEN (not staff, or without
    `permission`).
    """
    maker = await _acting(work, permission)
    await work.execute(_EXPIRE_OPEN, act, subject, payload_hash, work.now)
    standing = await work.struct(Approval, _OPEN, act, subject)
    if standing is not None:
        return standing
    approval_id = ApprovalId(new_id())
    bank = work.bank or "*"
    try:
        await work.execute(
            _ADD, approval_id, bank, act, subject, payload_hash, maker.id, work.now, work.now + LIFE
        )
    except UniqueViolation:
        raise Refused(Reason.IN_FLIGHT) from None
    work.note(f"{act}.request", subject)
    return await _locked(work, act, approval_id)


async def approve(
    work: Work,
    vault: Vault,
    approval_id: ApprovalId,
    *,
    act: str,
    payload_hash: bytes,
    code: Secret[str],
    permission: Permission,
) -> Approval | Declined:
    """Approve, as the acting member of staff, with a fresh time code.

    Declines (return it, so that it is committed): OTP_WRONG, LOCKED, APPROVAL_EXPIRED.
    Refuses: FORBIDDEN (without `permission`), FOUR_EYES (the maker), NOT_FOUND (none, of another
    act or house), CONFLICT (the payload is no longer the one asked for), ILLEGAL_TRANSITION.
    """
    checker = await _acting(work, permission)
    approval = await _locked(work, act, approval_id)
    maker = await staff.member_of(work, approval.maker_id)
    if (maker.kind, maker.bank, maker.agency) != (checker.kind, checker.bank, checker.agency):
        raise Refused(Reason.NOT_FOUND)
    if maker.id == checker.id:
        raise Refused(Reason.FOUR_EYES)
    expired = await _expired(work, approval)
    if expired is not None:
        return expired
    if approval.checker_id == checker.id and approval.payload_hash == payload_hash:
        return approval
    _expect(approval, ApprovalState.REQUESTED, payload_hash)
    declined = await staff.step_up(work, vault, checker.id, code)
    if declined is not None:
        return declined
    await work.execute(_APPROVE, approval.id, checker.id, work.now)
    work.note(f"{act}.approve", approval.subject)
    return await _locked(work, act, approval_id)


async def execute(
    work: Work, approval_id: ApprovalId, *, act: str, payload_hash: bytes
) -> Approval | Declined:
    """Spend an approval: within the Work of the act itself, once, for the payload approved.

    Declines: APPROVAL_EXPIRED. Refuses: NOT_FOUND, CONFLICT, ILLEGAL_TRANSITION (not approved, or
    spent already).
    """
    approval = await _locked(work, act, approval_id)
    expired = await _expired(work, approval)
    if expired is not None:
        return expired
    _expect(approval, ApprovalState.APPROVED, payload_hash)
    await work.execute(_EXECUTE, approval.id, work.now)
    return await _locked(work, act, approval_id)


async def newest(work: Work, act: str, subject: str) -> Approval | None:
    """The latest approval asked for on `subject`, in whatever state."""
    return await work.struct(Approval, _NEWEST, act, subject)


async def waiting(work: Work, act: str, limit: int) -> list[Approval]:
    """Requests that wait for a checker, oldest first."""
    return await work.structs(Approval, _WAITING, act, work.now, limit)


async def _acting(work: Work, permission: Permission) -> Member:
    if work.actor.kind not in _STAFF:
        raise Refused(Reason.FORBIDDEN)
    member = await staff.member_of(work, StaffId(msgspec.convert(work.actor.id, StaffId)))
    if not member.may(permission):
        raise Refused(Reason.FORBIDDEN, permission=permission.value)
    return member


async def _locked(work: Work, act: str, approval_id: ApprovalId) -> Approval:
    approval = await work.struct(Approval, _LOCK, approval_id, act)
    if approval is None:
        raise Refused(Reason.NOT_FOUND)
    return approval


async def _expired(work: Work, approval: Approval) -> Declined | None:
    open_still = approval.state in (ApprovalState.REQUESTED, ApprovalState.APPROVED)
    if open_still and approval.expires_at > work.now:
        return None
    if open_still:
        await work.execute(_EXPIRE, approval.id)
    elif approval.state is not ApprovalState.EXPIRED:
        return None
    return Declined(reason=Reason.APPROVAL_EXPIRED)


def _expect(approval: Approval, state: ApprovalState, payload_hash: bytes) -> None:
    if approval.state is not state:
        raise Refused(Reason.ILLEGAL_TRANSITION, state=approval.state.value)
    if approval.payload_hash != payload_hash:
        raise Refused(Reason.CONFLICT, field="payload")


_STAFF: Final = {
    ActorKind.AGENCY_OFFICER,
    ActorKind.BANK_CLERK,
    ActorKind.SUPPORT,
    ActorKind.ADMIN,
}

_COLUMNS: Final = """
select id, act, subject, payload_hash, maker_id, checker_id, state, requested_at, expires_at
from approvals"""

_LOCK: Final = f"{_COLUMNS} where id = $1 and act = $2 for update"

_OPEN: Final = (
    f"{_COLUMNS} where act = $1 and subject = $2 and state in ('REQUESTED', 'APPROVED') for update"
)

_NEWEST: Final = (
    f"{_COLUMNS} where act = $1 and subject = $2 order by requested_at desc, id desc limit 1"
)

_WAITING: Final = f"""{_COLUMNS}
where act = $1 and state = 'REQUESTED' and expires_at > $2 order by requested_at, id limit $3
"""

_ADD: Final = """
insert into approvals
    (id, bank, act, subject, payload_hash, maker_id, state, requested_at, expires_at)
values ($1, $2, $3, $4, $5, $6, 'REQUESTED', $7, $8)
"""

_EXPIRE_OPEN: Final = """
update approvals set state = 'EXPIRED'
where act = $1 and subject = $2 and state in ('REQUESTED', 'APPROVED')
    and (payload_hash <> $3 or expires_at <= $4)
"""

_EXPIRE: Final = "update approvals set state = 'EXPIRED' where id = $1"

_APPROVE: Final = """
update approvals set state = 'APPROVED', checker_id = $2, approved_at = $3
where id = $1 and state = 'REQUESTED'
"""

_EXECUTE: Final = """
update approvals set state = 'EXECUTED', executed_at = $2 where id = $1 and state = 'APPROVED'
"""
