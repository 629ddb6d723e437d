"""Shortfalls of forced posts, tiers of holders, and what waits for a second clerk.

Promise: the bank is the clerk's own; one asks, another approves with a fresh time code, and every
step stands in the audit trail. Who calls: bank operations.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.bank.funnel import own
from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.wire import (
    PAGE,
    Body,
    Cursor,
    Limit,
    MoneyOut,
    Page,
    StepUp,
    money_out,
    page_of,
    read_cursor,
)
from wallet import operations
from wallet.access import approvals
from wallet.access.approvals import Approval
from wallet.access.members import Permission
from wallet.identifiers import ApprovalId, HolderId, Secret, TransferId
from wallet.limits import Tier
from wallet.operations import Case, Request, Way
from wallet.outcomes import Declined, Outcome
from wallet.work import Work

Why = Annotated[
    str, Meta(min_length=3, max_length=200, examples=["cleared late, the wallet is paid again"])
]


class SettleShortfall(Body, frozen=True, kw_only=True):
    """`wallet`: the account the case is about pays now, or gets, what suspense stood in for;
    `bank`: the bank bears, or keeps, it."""

    way: Annotated[Way, Meta(examples=["wallet"])]
    why: Why


class ChangeTier(Body, frozen=True, kw_only=True):
    """The tier whose limits shall hold for this person, from the approval on."""

    tier: Annotated[Tier, Meta(examples=["full"])]
    why: Why


class ShownCase(Struct, frozen=True, kw_only=True):
    """What a forced post left to suspense. `state`: OPEN, REQUESTED, APPROVED or DONE."""

    id: UUID
    forced_id: UUID
    account_id: Annotated[int, Meta(examples=[42])]
    amount: MoneyOut
    cause: Annotated[str, Meta(examples=["insufficient_funds"])]
    at: datetime
    state: Annotated[str, Meta(examples=["OPEN"])]


class ShownRequest(Struct, frozen=True, kw_only=True):
    """REQUESTED, APPROVED (its money moves in a moment), DONE, or DECLINED by the books."""

    id: UUID
    act: Annotated[str, Meta(examples=["shortfall"])]
    subject: UUID
    wanted: Annotated[dict[str, str], Meta(examples=[{"way": "wallet"}])]
    why: Why
    state: Annotated[str, Meta(examples=["REQUESTED"])]
    reason: Annotated[str | None, Meta(examples=["insufficient_funds"])]
    asked_at: datetime


OnlyOpen = Annotated[
    bool, Parameter(query="open", description="Only those that are not settled yet.")
]


@get("/shortfalls", summary="What forced posts left to suspense, newest first")
async def shortfalls(
    caller: StaffCaller,
    resources: Resources,
    only_open: OnlyOpen = True,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[ShownCase]:
    before = read_cursor(cursor, tuple[datetime, UUID])

    async def read(work: Work) -> list[Case]:
        return await operations.cases(work, only_open=only_open, before=before, limit=limit + 1)

    found = await resources.works.read(caller.actor, own(caller), read)
    page = page_of(found, limit, lambda case: (case.at, case.transfer_id))
    return Page(items=[_case(one) for one in page.items], next=page.next)


@post(
    "/shortfalls/{case_id:uuid}/settle",
    guards=[with_permission(Permission.OPERATIONS_ASK)],
    summary="Ask that a shortfall be settled",
)
async def ask_settlement(
    case_id: UUID,
    data: SettleShortfall,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> ShownRequest:
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        own(caller),
        f"{operations.ACT}.shortfall",
        idempotency_key,
        msgspec.json.encode([case_id, data]),
        lambda work: operations.ask_settlement(work, TransferId(case_id), data.way, data.why),
    )
    return _answered(outcome)


@post(
    "/people/{holder_id:uuid}/tier",
    guards=[with_permission(Permission.OPERATIONS_ASK)],
    summary="Ask that a person's limits become those of another tier",
)
async def ask_tier(
    holder_id: UUID,
    data: ChangeTier,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> ShownRequest:
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        own(caller),
        f"{operations.ACT}.tier",
        idempotency_key,
        msgspec.json.encode([holder_id, data]),
        lambda work: operations.ask_tier(work, HolderId(holder_id), data.tier, data.why),
    )
    return _answered(outcome)


@get("/requests", summary="What your bank's clerks asked for, newest first")
async def requests(
    caller: StaffCaller, resources: Resources, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[ShownRequest]:
    before = read_cursor(cursor, tuple[UUID])

    async def read(work: Work) -> list[Request]:
        place = before[0] if before else None
        return await operations.requests(work, before=place, limit=limit + 1)

    found = await resources.works.read(caller.actor, own(caller), read)
    page = page_of(found, limit, lambda request: (request.id,))
    shown = [msgspec.convert(operations.shown(one), ShownRequest) for one in page.items]
    return Page(items=shown, next=page.next)


@post(
    "/requests/{request_id:uuid}/approve",
    status_code=200,
    guards=[with_permission(Permission.OPERATIONS_APPROVE)],
    summary="Approve what another clerk asked for",
)
async def approve_request(
    request_id: UUID,
    data: StepUp,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> ShownRequest:
    """Whoever asked cannot approve. A shortfall's money moves in a moment, by the worker."""
    vault = resources.vault

    async def second(work: Work, approval_id: ApprovalId, payload: bytes) -> Approval | Declined:
        return await approvals.approve(
            work,
            vault,
            approval_id,
            act=operations.ACT,
            payload_hash=payload,
            code=Secret(data.totp),
            permission=Permission.OPERATIONS_APPROVE,
        )

    outcome, _ = await resources.works.perform_once(
        caller.actor,
        own(caller),
        f"{operations.ACT}.approve",
        idempotency_key,
        # Keyed: a plain hash of six digits would be as good as the digits.
        vault.blind_index("bank.operations.approve", f"{request_id} {data.totp}"),
        lambda work: operations.approve(work, request_id, second),
    )
    return _answered(outcome)


def _answered(outcome: Outcome) -> ShownRequest:
    return msgspec.convert(answered(outcome), ShownRequest)


def _case(case: Case) -> ShownCase:
    return ShownCase(
        id=case.transfer_id,
        forced_id=case.forced_id,
        account_id=case.account_id,
        amount=money_out(case.money),
        cause=case.cause,
        at=case.at,
        state=case.state,
    )


HANDLERS: Final[list[Any]] = [shortfalls, ask_settlement, ask_tier, requests, approve_request]
