"""Breaking the glass: one person alone, for a quarter of an hour, with an alarm, reviewed after.

Promise: emergency access is for looking a person up without a case of theirs and for nothing else;
it needs a written reason, lasts 15 minutes, and one stands at a time; opening it raises an alarm
that is raised again every hour until somebody else has reviewed it (a constraint as well as the
rule); each use is audited with its id and reason, and the holder concerned is told.

Tables owned: emergency_access.

    OPEN --15 min--> OVER --another person with the permission--> REVIEWED (justified or not)

Who calls: the support door; the worker (the alarm); disputes.unmasking (whether it stands).
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.access.members import Permission, member_of
from wallet.identifiers import StaffId, new_id
from wallet.outcomes import Done, Outcome, Reason, Refused
from wallet.work import ActorKind, Work

LASTS: Final = timedelta(minutes=15)
ALARM_EVERY: Final = timedelta(hours=1)
SHORTEST_REASON: Final = 20
ALARM_JOB: Final = "emergency.alarm"


class Emergency(Struct, frozen=True, kw_only=True):
    """One opening, and what became of it."""

    id: UUID
    staff_id: StaffId
    reason: str
    opened_at: datetime
    expires_at: datetime
    reviewed_by: StaffId | None
    reviewed_at: datetime | None
    justified: bool | None
    note: str | None


async def open_access(work: Work, reason: str) -> Outcome:
    """Open emergency access for the acting member. The alarm is a job of the same transaction: it
    rings exactly when this was committed.

    Refuses: FORBIDDEN, INVALID_REQUEST (a reason of fewer than 20 letters), CONFLICT (one stands).
    """
    staff_id = await _acting(work, Permission.EMERGENCY_OPEN)
    if len(reason.strip()) < SHORTEST_REASON:
        raise Refused(Reason.INVALID_REQUEST, field="reason")
    await work.execute(_ONE_AT_A_TIME, str(staff_id))
    if await standing(work) is not None:
        raise Refused(Reason.CONFLICT, field="emergency_access")
    opened = new_id()
    until = work.now + LASTS
    await work.execute(_OPEN, opened, staff_id, reason.strip(), work.now, until)
    work.note("emergency.open", str(opened), reason=reason.strip())
    work.later(ALARM_JOB, {"emergency_id": str(opened)}, dedupe=f"{ALARM_JOB}:{opened}")
    return Done(answer={"emergency_id": str(opened), "expires_at": until.isoformat()})


async def standing(work: Work) -> Emergency | None:
    """The acting member's emergency access, while it lasts."""
    if work.actor.kind is not ActorKind.SUPPORT:
        return None
    return await work.struct(Emergency, _STANDING, UUID(work.actor.id), work.now)


async def review(work: Work, emergency_id: UUID, *, justified: bool, note: str) -> Outcome:
    """Say, as another person, whether it was right to open it.

    Refuses: FORBIDDEN, NOT_FOUND, FOUR_EYES (one's own), ILLEGAL_TRANSITION (reviewed before).
    """
    reviewer = await _acting(work, Permission.EMERGENCY_REVIEW)
    found = await work.struct(Emergency, _LOCK, emergency_id)
    if found is None:
        raise Refused(Reason.NOT_FOUND)
    if found.staff_id == reviewer:
        raise Refused(Reason.FOUR_EYES)
    if found.reviewed_by is not None:
        raise Refused(Reason.ILLEGAL_TRANSITION, state="REVIEWED")
    await work.execute(_REVIEW, emergency_id, reviewer, work.now, justified, note)
    verdict = "justified" if justified else "not justified"
    work.note("emergency.review", str(emergency_id), reason=f"{verdict}: {note}")
    return Done(answer={"emergency_id": str(emergency_id), "justified": justified})


async def unreviewed(work: Work, limit: int) -> list[Emergency]:
    """What waits for a review, oldest first. Refuses: FORBIDDEN."""
    await _acting(work, Permission.EMERGENCY_REVIEW)
    return await work.structs(Emergency, _UNREVIEWED, limit)


async def unreviewed_one(work: Work, emergency_id: UUID) -> Emergency | None:
    """The one the alarm rings for; None once it is reviewed."""
    return await work.struct(Emergency, f"{_COLUMNS} where id = $1 and reviewed_by is null",
                             emergency_id)  # fmt: skip


async def _acting(work: Work, permission: Permission) -> StaffId:
    if work.actor.kind is not ActorKind.SUPPORT:
        raise Refused(Reason.FORBIDDEN)
    member = await member_of(work, StaffId(UUID(work.actor.id)))
    if not member.may(permission):
        raise Refused(Reason.FORBIDDEN, permission=permission.value)
    return member.id


_ONE_AT_A_TIME: Final = "select pg_advisory_xact_lock(hashtextextended('emergency:' || $1, 0))"

_COLUMNS: Final = """
select id, staff_id, reason, opened_at, expires_at, reviewed_by, reviewed_at, justified, note
from emergency_access"""

_LOCK: Final = f"{_COLUMNS} where id = $1 for update"
_STANDING: Final = f"{_COLUMNS} where staff_id = $1 and expires_at > $2"
_UNREVIEWED: Final = f"{_COLUMNS} where reviewed_by is null order by opened_at limit $1"

_OPEN: Final = """
insert into emergency_access (id, staff_id, reason, opened_at, expires_at)
values ($1, $2, $3, $4, $5)
"""

_REVIEW: Final = """
update emergency_access set reviewed_by = $2, reviewed_at = $3, justified = $4, note = $5
where id = $1
"""
