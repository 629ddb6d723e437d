"""What is masked, shown for a reason: with a case, or behind broken glass.

Promise: every look is written in the holder's own feed before it is answered; emergency access
rings an alarm and waits for another person's review. Who calls: support agents, supervisors.
"""

import logging
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from msgspec import Meta, Struct
from prometheus_client import Counter

from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.wire import Body
from wallet.access import emergency
from wallet.access.members import Permission
from wallet.disputes import unmasking
from wallet.identifiers import BankId, HolderId, Secret
from wallet.outcomes import Reason, Refused
from wallet.registry import holders
from wallet.work import Work

MOST: Final = 100

_alarm: Final = logging.getLogger("smartid.alarm")
_opened: Final = Counter("smartid_emergency_access", "Emergency accesses opened at this process")

Why = Annotated[
    str,
    Meta(
        min_length=10,
        max_length=500,
        description="The holder reads it; card numbers in it are masked.",
        examples=["The holder asked to be called back about the case."],
    ),
]


class Unmask(Body, frozen=True, kw_only=True):
    """Why the number is needed, and for which open case. Without a case: emergency access only."""

    reason: Why
    case_number: Annotated[
        Annotated[str, Meta(max_length=32)] | None, Meta(examples=["D-2026-000017"])
    ] = None


class Unmasked(Struct, frozen=True, kw_only=True):
    holder_id: UUID
    phone: Annotated[str | None, Meta(examples=["+85512345678"])]

    def __repr__(self) -> str:
        return "Unmasked(***)"


class OpenEmergency(Body, frozen=True, kw_only=True):
    """Why there is no time for a case. At least 20 letters; others will read it."""

    reason: Annotated[
        str,
        Meta(
            min_length=emergency.SHORTEST_REASON,
            max_length=500,
            examples=["Hospital asks for the family of a holder found unconscious."],
        ),
    ]


class OpenedEmergency(Struct, frozen=True, kw_only=True):
    emergency_id: UUID
    expires_at: datetime


class ShownEmergency(Struct, frozen=True, kw_only=True):
    """Emergency access that nobody has reviewed yet."""

    id: UUID
    staff_id: UUID
    reason: Annotated[str, Meta(examples=["Hospital asks for the family of a holder."])]
    opened_at: datetime
    expires_at: datetime


class Review(Body, frozen=True, kw_only=True):
    justified: bool
    note: Annotated[str, Meta(min_length=3, max_length=500, examples=["Hospital confirms."])]


class Reviewed(Struct, frozen=True, kw_only=True):
    emergency_id: UUID
    justified: bool


@post(
    "/people/{holder_id:uuid}/unmask",
    status_code=200,
    guards=[with_permission(Permission.HOLDER_UNMASK)],
    summary="See a holder's telephone number, for a case and a reason",
)
async def unmask(
    holder_id: UUID, data: Unmask, caller: StaffCaller, resources: Resources
) -> Unmasked:
    """Shows in the holder's own feed, with the reason, each time."""
    works, asked = resources.works, HolderId(holder_id)

    async def bank_of(work: Work) -> BankId:
        holder = await holders.by_id(work, asked)
        if holder is None:
            raise Refused(Reason.NOT_FOUND)
        return holder.bank

    async def phone_of(work: Work, holder_id: HolderId) -> Secret[str] | None:
        return await holders.phone(work, resources.vault, holder_id)

    bank = await works.read(caller.actor, caller.bank, bank_of)
    phone = await works.perform(
        caller.actor,
        bank,
        lambda work: unmasking.telephone(
            work,
            asked,
            case_number=data.case_number,
            reason=data.reason,
            phone_of=phone_of,
        ),
    )
    return Unmasked(holder_id=holder_id, phone=None if phone is None else phone.reveal())


@post(
    "/emergency-access",
    guards=[with_permission(Permission.EMERGENCY_OPEN)],
    summary="Break the glass: look somebody up without a case",
)
async def open_emergency(
    data: OpenEmergency, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> OpenedEmergency:
    """For 15 minutes, with an alarm, reviewed by somebody else after."""
    outcome, replayed = await resources.works.perform_once(
        caller.actor,
        None,
        "emergency.open",
        idempotency_key,
        msgspec.json.encode(data),
        lambda work: emergency.open_access(work, data.reason),
    )
    opened = msgspec.convert(answered(outcome), OpenedEmergency)
    if not replayed:
        _opened.inc()
        _alarm.critical("emergency access %s opened by staff %s", opened.emergency_id, caller.id)
    return opened


@get(
    "/emergency-access",
    guards=[with_permission(Permission.EMERGENCY_REVIEW)],
    summary="Emergency accesses that wait for a review",
)
async def waiting(caller: StaffCaller, resources: Resources) -> list[ShownEmergency]:
    found = await resources.works.read(
        caller.actor, None, lambda work: emergency.unreviewed(work, MOST)
    )
    return [
        ShownEmergency(
            id=one.id,
            staff_id=one.staff_id,
            reason=one.reason,
            opened_at=one.opened_at,
            expires_at=one.expires_at,
        )
        for one in found
    ]


@post(
    "/emergency-access/{emergency_id:uuid}/review",
    status_code=200,
    guards=[with_permission(Permission.EMERGENCY_REVIEW)],
    summary="Say whether breaking the glass was right",
)
async def review(
    emergency_id: UUID,
    data: Review,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> Reviewed:
    """By another person than who broke it; silences the alarm."""
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        None,
        "emergency.review",
        idempotency_key,
        msgspec.json.encode([emergency_id, data]),
        lambda work: emergency.review(work, emergency_id, justified=data.justified, note=data.note),
    )
    return msgspec.convert(answered(outcome), Reviewed)


HANDLERS: Final[list[Any]] = [unmask, open_emergency, waiting, review]
