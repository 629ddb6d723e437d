"""One virtual card stopped by its bank, and let go on: the work of the bank's agents.

A bank's clerks see no cards (the privacy wall); who looks into a suspicion does. Stopping is the
safe side and one agent's; letting go on is a supervisor's. The holder is told of both at once, and
reads the reason's author in their feed. Who calls: support agents, supervisors.
"""

from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import post
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.throttling import within_freezes
from api.wire import Body
from wallet.access.members import Permission
from wallet.cards import control, rows
from wallet.cards.states import Freezer
from wallet.identifiers import BankId, CardId
from wallet.outcomes import Outcome, Reason, Refused
from wallet.work import Work


class WhyCard(Body, frozen=True, kw_only=True):
    """Why: it stands in the audit trail."""

    reason: Annotated[str, Meta(min_length=3, max_length=200, examples=["tested by a bot"])]


class StaffCard(Struct, frozen=True, kw_only=True):
    id: UUID
    last_four: Annotated[str, Meta(examples=["4242"])]
    state: Annotated[str, Meta(examples=["FROZEN"])]
    frozen_by: Annotated[list[str], Meta(examples=[["BANK"]])]
    expires_on: date


class StoppedCard(Struct, frozen=True, kw_only=True):
    card: StaffCard


@post(
    "/cards/{card_id:uuid}/freeze",
    status_code=200,
    guards=[with_permission(Permission.CASE_WORK)],
    summary="Stop one virtual card for the bank",
)
async def freeze_card(
    card_id: UUID, data: WhyCard, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> StoppedCard:
    async def act(work: Work) -> Outcome:
        return await control.freeze_card(
            work, CardId(card_id), holder_id=None, by=Freezer.BANK, why=data.reason
        )

    await within_freezes(resources, caller)
    body = msgspec.json.encode([card_id, data])
    bank = await _bank_of(resources, caller, card_id)
    outcome, _ = await resources.works.perform_once(
        caller.actor, bank, "card.freeze", idempotency_key, body, act
    )
    return msgspec.convert(answered(outcome), StoppedCard)


@post(
    "/cards/{card_id:uuid}/unfreeze",
    status_code=200,
    guards=[with_permission(Permission.REFUND_APPROVE)],
    summary="Lift the bank's own freeze of a virtual card",
)
async def unfreeze_card(
    card_id: UUID, data: WhyCard, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> StoppedCard:
    """The holder's freeze, and the Smart ID's, stay."""

    async def act(work: Work) -> Outcome:
        return await control.release_card(work, CardId(card_id), data.reason)

    body = msgspec.json.encode([card_id, data])
    bank = await _bank_of(resources, caller, card_id)
    outcome, _ = await resources.works.perform_once(
        caller.actor, bank, "card.unfreeze", idempotency_key, body, act
    )
    return msgspec.convert(answered(outcome), StoppedCard)


async def _bank_of(resources: Resources, caller: StaffCaller, card_id: UUID) -> BankId:
    """The bank in whose books the card hangs, where this member may see it. Refuses: not_found."""
    card = await resources.works.read(
        caller.actor, caller.bank, lambda work: rows.by_id(work, CardId(card_id))
    )
    if card is None:
        raise Refused(Reason.NOT_FOUND)
    return card.bank


HANDLERS: Final[list[Any]] = [freeze_card, unfreeze_card]
