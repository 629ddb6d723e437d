"""What the clerk's own bank holds on one person, given out whole; the order to erase one.

Promise: the bank's own person or nobody; the person sees in their feed that it was asked for. An
order needs two people and erases nothing by itself. Who calls: a bank's officer answering a
person's request.
"""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post
from msgspec import Meta, Struct

from api.bank.funnel import own
from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.wire import Body, StepUp
from wallet import disclosure
from wallet.access import erasing
from wallet.access.members import Permission
from wallet.disclosure import Held
from wallet.identifiers import HolderId, Secret

Why = Annotated[str, Meta(min_length=10, max_length=200, examples=["Order 2026/17 of the bank."])]


class AskErasure(Body, frozen=True, kw_only=True):
    """Why this person is to be made unreadable, for ever."""

    reason: Why


class AgreeErasure(StepUp, frozen=True, kw_only=True):
    """The reason again, as it was asked for, and a fresh time code."""

    reason: Why


class ErasureOrder(Struct, frozen=True, kw_only=True):
    """REQUESTED until a second clerk agrees, then APPROVED; it holds until `expires_at`."""

    state: Annotated[str, Meta(examples=["REQUESTED"])]
    expires_at: Annotated[str, Meta(examples=["2026-01-13T02:00:00+00:00"])]


@get(
    "/people/{holder_id:uuid}/export",
    guards=[with_permission(Permission.PERSON_EXPORT)],
    summary="What your bank holds on a person",
)
async def export(holder_id: UUID, caller: StaffCaller, resources: Resources) -> Held:
    bank = own(caller)
    return await resources.works.perform(
        caller.actor,
        bank,
        lambda work: disclosure.held_by_own_bank(work, bank, HolderId(holder_id)),
    )


@post(
    "/people/{holder_id:uuid}/erasure",
    guards=[with_permission(Permission.ERASURE_ASK)],
    summary="Ask that a person who has gone be erased",
)
async def ask_erasure(
    holder_id: UUID,
    data: AskErasure,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> Response[ErasureOrder]:
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        own(caller),
        "erasure.ask",
        idempotency_key,
        msgspec.json.encode([holder_id, data]),
        lambda work: erasing.ask(work, HolderId(holder_id), data.reason),
    )
    asked: Any = answered(outcome)
    return Response(asked, status_code=201)


@post(
    "/people/{holder_id:uuid}/erasure/approve",
    status_code=200,
    guards=[with_permission(Permission.ERASURE_APPROVE)],
    summary="Agree that a person be erased, as another clerk asked",
)
async def agree_erasure(
    holder_id: UUID,
    data: AgreeErasure,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> Response[ErasureOrder]:
    """The operator's command carries it out, within the day."""
    vault, code = resources.vault, Secret(data.totp)
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        own(caller),
        "erasure.approve",
        idempotency_key,
        vault.blind_index("bank.erasure", f"{holder_id} {data.reason} {data.totp}"),
        lambda work: erasing.agree(work, vault, HolderId(holder_id), data.reason, code),
    )
    agreed: Any = answered(outcome)
    return Response(agreed)


HANDLERS: Final[list[Any]] = [export, ask_erasure, agree_erasure]
