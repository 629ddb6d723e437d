"""Cases of purchases at the support door: listed, closed by one, or by two where money stands in.

Promise: asked or approved again under the same key it is the same closing; the second person is
proven by a fresh time code; reasons are kept without card numbers. Who calls: agents, supervisors.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.support.disputes import Why
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
from wallet.access import approvals
from wallet.access.approvals import Approval
from wallet.authorisations import closing, reading
from wallet.authorisations.closing import Closing, Finding
from wallet.authorisations.records import Case
from wallet.disputes.statements import without_card_numbers
from wallet.identifiers import ApprovalId, Secret
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import Work


class SeenCase(Struct, frozen=True, kw_only=True):
    """Something to look at: what went beyond what was allowed, and what suspense stands in for.
    OPEN, REQUESTED (a second person has a day to agree) or CLOSED."""

    id: UUID
    authorisation_id: UUID
    cause: Annotated[str, Meta(examples=["OVER_CAPTURE"])]
    beyond: MoneyOut
    short: MoneyOut
    at: datetime
    state: Annotated[str, Meta(examples=["OPEN"])]
    finding: Annotated[str | None, Meta(examples=["SHOP_ERRED"])]
    why: Annotated[str | None, Meta(examples=["The shop confirms that it charged twice."])]
    closed_at: datetime | None


class CloseCase(Body, frozen=True, kw_only=True):
    finding: Annotated[Finding, Meta(examples=["SHOP_ERRED"])]
    why: Why


class CaseClosed(Struct, frozen=True, kw_only=True):
    """CLOSED at once, or REQUESTED: a second person has 24 hours to agree."""

    case_id: UUID
    state: Annotated[str, Meta(examples=["CLOSED"])]


OpenOnly = Annotated[
    bool, Parameter(query="open", description="Only those that nobody has closed yet.")
]


@get(
    "/purchase-cases",
    guards=[with_permission(closing.MAKES)],
    summary="Purchases somebody must look at",
)
async def purchase_cases(
    caller: StaffCaller,
    resources: Resources,
    limit: Limit = PAGE,
    cursor: Cursor = None,
    open_only: OpenOnly = False,
) -> Page[SeenCase]:
    place = read_cursor(cursor, tuple[int])
    before = place[0] if place else None

    async def look(work: Work) -> tuple[list[tuple[int, Case]], dict[UUID, Closing]]:
        found = await reading.cases(work, before=before, limit=limit + 1, open_only=open_only)
        return found, await closing.closings_of(work, [case.id for _, case in found])

    found, closed = await resources.works.read(caller.actor, caller.bank, look)
    page = page_of(found, limit, lambda one: (one[0],))
    return Page(
        items=[seen_case(case, closed.get(case.id)) for _, case in page.items], next=page.next
    )


@post(
    "/purchase-cases/{case_id:uuid}/close",
    status_code=200,
    guards=[with_permission(closing.MAKES)],
    summary="Close a purchase's case, or ask a second person to agree",
)
async def close_case(
    case_id: UUID,
    data: CloseCase,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> CaseClosed:
    """Where suspense stands in with money, a supervisor has to agree. No money is moved by it."""
    why = without_card_numbers(data.why)
    works = resources.works
    bank = await works.read(caller.actor, caller.bank, lambda work: closing.bank_of(work, case_id))
    outcome, _ = await works.perform_once(
        caller.actor,
        bank,
        closing.ACT,
        idempotency_key,
        msgspec.json.encode([case_id, data]),
        lambda work: closing.close(work, case_id, data.finding, why),
    )
    return msgspec.convert(answered(outcome), CaseClosed)


@post(
    "/purchase-cases/{case_id:uuid}/approve",
    status_code=200,
    guards=[with_permission(closing.APPROVER)],
    summary="Agree to the closing another member asked for",
)
async def approve_closing(
    case_id: UUID,
    data: StepUp,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> CaseClosed:
    """Whoever asked cannot agree."""
    works, vault = resources.works, resources.vault

    async def second(work: Work, approval_id: ApprovalId, payload: bytes) -> Approval | Declined:
        return await approvals.approve(
            work,
            vault,
            approval_id,
            act=closing.ACT,
            payload_hash=payload,
            code=Secret(data.totp),
            permission=closing.APPROVER,
        )

    bank = await works.read(caller.actor, caller.bank, lambda work: closing.bank_of(work, case_id))
    outcome, _ = await works.perform_once(
        caller.actor,
        bank,
        f"{closing.ACT}.approve",
        idempotency_key,
        # Keyed: a plain hash of six digits would be as good as the digits.
        vault.blind_index("support.purchase_case.approve", f"{case_id} {data.totp}"),
        lambda work: closing.approve(work, case_id, second),
    )
    return msgspec.convert(answered(outcome), CaseClosed)


def seen_case(case: Case, closed: Closing | None) -> SeenCase:
    currency = Currency(case.currency)
    return SeenCase(
        id=case.id,
        authorisation_id=case.authorisation_id,
        cause=case.cause.value,
        beyond=money_out(Money(case.beyond_minor, currency)),
        short=money_out(Money(case.short_minor, currency)),
        at=case.at,
        state="OPEN" if closed is None else closed.state,
        finding=None if closed is None else closed.finding.value,
        why=None if closed is None else closed.why,
        closed_at=None if closed is None else closed.closed_at,
    )


HANDLERS: Final[list[Any]] = [purchase_cases, close_case, approve_closing]
