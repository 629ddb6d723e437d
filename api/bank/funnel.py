"""How far the cards are that a bank prints, and the freezing of one.

Promise: the bank is the clerk's own, and the database shows nothing of another's. Freezing stops
paying at once, its virtual cards included; the identity stays valid and salary still lands.
Stopping is the safe side and any clerk's; letting go on is a checker's. Who calls: bank clerks.
"""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import get, post
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import FOR_MACHINES, HouseCaller, StaffCaller, with_permission
from api.throttling import within_freezes
from api.wire import Body
from wallet.access.members import Permission
from wallet.identifiers import BankId, SmartIdId
from wallet.outcomes import Outcome, Reason, Refused
from wallet.registry import applications, smart_ids
from wallet.registry.applications import ApplicationState
from wallet.registry.smart_ids import Party
from wallet.work import Work


class OfAgency(Struct, frozen=True, kw_only=True):
    """One agency's part of the bank's applicants."""

    agency: Annotated[str, Meta(examples=["MCS"])]
    applicants: Annotated[int, Meta(examples=[92])]
    by_state: Annotated[dict[str, int], Meta(examples=[{"SENT_TO_BANK": 35, "HANDED_OVER": 41}])]


class BankFunnel(Struct, frozen=True, kw_only=True):
    """The bank's people by the state of their application; they add up."""

    bank: Annotated[str, Meta(examples=["ACLEDA"])]
    applicants: Annotated[int, Meta(examples=[797])]
    handed_over: Annotated[int, Meta(examples=[213])]
    by_state: Annotated[dict[str, int], Meta(examples=[{"SENT_TO_BANK": 176, "HANDED_OVER": 213}])]
    by_agency: list[OfAgency]


class WhySmartId(Body, frozen=True, kw_only=True):
    """Why: it stands in the audit trail and in the holder's own feed."""

    reason: Annotated[str, Meta(min_length=3, max_length=200, examples=["reported lost by phone"])]


class FrozenSmartId(Struct, frozen=True, kw_only=True):
    """The Smart ID after the act."""

    id: UUID
    last_four: Annotated[str | None, Meta(examples=["0017"])]
    identity_state: Annotated[str, Meta(examples=["VALID"])]
    payment_state: Annotated[str, Meta(examples=["FROZEN"])]
    frozen_by: Annotated[str | None, Meta(examples=["BANK"])]
    issued_on: Annotated[str | None, Meta(examples=["2022-12-28"])]
    expires_on: Annotated[str | None, Meta(examples=["2032-12-28"])]


@get(
    "/funnel",
    opt=FOR_MACHINES,
    security=[{"machine": []}],
    summary="How far the cards are that your bank prints",
)
async def funnel(caller: HouseCaller, resources: Resources) -> BankFunnel:
    bank = own(caller)
    rows = await resources.works.read(
        caller.actor, bank, lambda work: applications.funnel(work, bank=bank)
    )
    by_state = applications.tally(rows)
    return BankFunnel(
        bank=bank,
        applicants=sum(by_state.values()),
        handed_over=by_state[ApplicationState.HANDED_OVER],
        by_state=_plain(by_state),
        by_agency=[
            OfAgency(agency=agency, applicants=sum(part.values()), by_state=_plain(part))
            for agency in sorted({row.agency for row in rows})
            for part in [applications.tally([row for row in rows if row.agency == agency])]
        ],
    )


@post(
    "/smart-ids/{smart_id:uuid}/freeze",
    status_code=200,
    summary="Stop paying with a Smart ID; the identity stays valid",
)
async def freeze(
    smart_id: UUID,
    data: WhySmartId,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> FrozenSmartId:
    bank, asked = own(caller), [SmartIdId(smart_id)]
    await within_freezes(resources, caller)

    async def act(work: Work) -> Outcome:
        (answer,) = await smart_ids.freeze_payment(work, asked, by=Party.BANK, reason=data.reason)
        if isinstance(answer, Refused):
            raise answer
        return answer

    body = msgspec.json.encode([smart_id, data])
    outcome, _ = await resources.works.perform_once(
        caller.actor, bank, "smart_id.freeze", idempotency_key, body, act
    )
    return msgspec.convert(answered(outcome), FrozenSmartId)


@post(
    "/smart-ids/{smart_id:uuid}/unfreeze",
    status_code=200,
    guards=[with_permission(Permission.OPERATIONS_APPROVE)],
    summary="Let a Smart ID pay again",
)
async def unfreeze(
    smart_id: UUID,
    data: WhySmartId,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> FrozenSmartId:
    """The card was found, or the report was wrong. One's own freeze of a virtual card stays."""
    bank, asked = own(caller), [SmartIdId(smart_id)]

    async def act(work: Work) -> Outcome:
        (answer,) = await smart_ids.unfreeze_payment(work, asked, by=Party.BANK, reason=data.reason)
        if isinstance(answer, Refused):
            raise answer
        return answer

    body = msgspec.json.encode([smart_id, data])
    outcome, _ = await resources.works.perform_once(
        caller.actor, bank, "smart_id.unfreeze", idempotency_key, body, act
    )
    return msgspec.convert(answered(outcome), FrozenSmartId)


def own(caller: HouseCaller) -> BankId:
    """The clerk's own bank. Refuses: forbidden."""
    if caller.bank is None:
        raise Refused(Reason.FORBIDDEN)
    return caller.bank


def _plain(by_state: dict[ApplicationState, int]) -> dict[str, int]:
    return {state.value: people for state, people in by_state.items()}


HANDLERS: Final = (funnel, freeze, unfreeze)
