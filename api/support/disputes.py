"""Cases at the support door: what waits, one with its timeline, closing it.

Promise: an agent of one bank sees that bank's cases alone; looking at one is audited with its
number; nothing here moves money (refunds do). Who calls: support agents.
"""

from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.support.shown import ShownCase, ShownPerson, shown_case, shown_person
from api.wire import PAGE, Body, Cursor, Limit, MoneyOut, Page, money_out, page_of, read_cursor
from wallet.access.members import Permission
from wallet.disputes import cases, closing, refunds, timeline
from wallet.disputes.cases import Case, CaseState
from wallet.disputes.refunds import Refund, RefundState
from wallet.disputes.timeline import Moment
from wallet.identifiers import DisputeId
from wallet.money import Money
from wallet.outcomes import Reason, Refused
from wallet.registry import holders
from wallet.work import Work

Why = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=500,
        description="Kept with the case; card numbers in it are masked.",
        examples=["The operator confirms that nothing was delivered."],
    ),
]


class Liability(Struct, frozen=True, kw_only=True):
    """Where the disputed money stands: disputed = recovered + written off + denied + remaining."""

    disputed: MoneyOut
    recovered: MoneyOut
    written_off: MoneyOut
    denied: MoneyOut
    remaining: MoneyOut


class ShownRefund(Struct, frozen=True, kw_only=True):
    id: UUID
    amount: MoneyOut
    source: Annotated[str, Meta(examples=["COUNTERPARTY"])]
    why: Annotated[str, Meta(examples=["The operator confirms that nothing was delivered."])]
    state: Annotated[str, Meta(description="REQUESTED, PAID or LAPSED.", examples=["REQUESTED"])]
    maker: Annotated[UUID, Meta(description="The member of staff who asked.")]
    checker: Annotated[UUID | None, Meta(description="The one who approved.")]
    at: datetime


class Line(Struct, frozen=True, kw_only=True):
    """One line of the timeline."""

    at: datetime
    source: Annotated[str, Meta(description="ledger, case, audit or notice", examples=["ledger"])]
    what: Annotated[str, Meta(examples=["topup.capture"])]
    detail: Annotated[str, Meta(examples=["20,000 KHR"])]
    by: Annotated[str, Meta(description="Who, where somebody did it.", examples=[""])]


class WholeCase(Struct, frozen=True, kw_only=True):
    """Everything there is to decide on, oldest first."""

    case: ShownCase
    person: ShownPerson
    transaction_id: UUID
    statement: Annotated[str, Meta(examples=["No credit on my phone, and the money is gone."])]
    liability: Liability
    refunds: list[ShownRefund]
    timeline: list[Line]
    next_step: Annotated[str, Meta(examples=["Refund or close by 2026-01-14."])]


class Close(Body, frozen=True, kw_only=True):
    """What is not given back is denied, or was withdrawn by the holder."""

    why: Why
    withdrawn: bool = False


class ClosedCase(Struct, frozen=True, kw_only=True):
    dispute_id: UUID
    case_number: Annotated[str, Meta(examples=["D-2026-000017"])]
    state: Annotated[str, Meta(examples=["CLOSED"])]
    disposition: Annotated[
        str, Meta(description="WON, PARTIALLY_WON, DENIED or WITHDRAWN.", examples=["WON"])
    ]


@get(
    "/disputes",
    guards=[with_permission(Permission.CASE_WORK)],
    summary="Open cases, the most urgent first",
)
async def waiting(
    caller: StaffCaller, resources: Resources, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[ShownCase]:
    key = read_cursor(cursor, tuple[date, UUID])
    after = (key[0], DisputeId(key[1])) if key else None

    async def read(work: Work) -> tuple[list[Case], set[DisputeId]]:
        found = await cases.waiting(work, after=after, limit=limit + 1)
        return found, await refunds.with_refund_waiting(work, [case.id for case in found])

    found, with_refund = await resources.works.read(caller.actor, caller.bank, read)
    page = page_of(found, limit, lambda case: (case.answer_by, case.id))
    return Page(
        items=[shown_case(case, refund_waits=case.id in with_refund) for case in page.items],
        next=page.next,
    )


@get(
    "/disputes/{dispute_id:uuid}",
    guards=[with_permission(Permission.CASE_WORK)],
    summary="One case with its refunds and its timeline",
)
async def whole(dispute_id: UUID, caller: StaffCaller, resources: Resources) -> WholeCase:
    """The look is audited with the case's number, and shows in the holder's own feed."""

    async def look(work: Work) -> WholeCase:
        case = await cases.find(work, DisputeId(dispute_id))
        holder = await holders.by_id(work, case.holder_id)
        if holder is None:
            raise Refused(Reason.NOT_FOUND)
        given = await refunds.of_case(work, case.id)
        waits = bool(await refunds.with_refund_waiting(work, [case.id]))
        moments = await timeline.of_case(work, case)
        return WholeCase(
            case=shown_case(case, refund_waits=waits),
            person=shown_person(holder),
            transaction_id=case.transfer_id,
            statement=case.statement,
            liability=_liability(case),
            refunds=[_shown_refund(refund, case, waits=waits) for refund in given],
            timeline=[_line(moment) for moment in moments],
            next_step=_next_step(case, refund_waits=waits),
        )

    return await resources.works.perform(caller.actor, caller.bank, look)


@post(
    "/disputes/{dispute_id:uuid}/close",
    status_code=200,
    guards=[with_permission(Permission.CASE_WORK)],
    summary="Close a case",
)
async def close(
    dispute_id: UUID,
    data: Close,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> ClosedCase:
    """Not while a refund waits for a second person."""
    case_id = DisputeId(dispute_id)
    case = await resources.works.read(
        caller.actor, caller.bank, lambda work: cases.find(work, case_id)
    )
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        case.bank,
        "dispute.close",
        idempotency_key,
        msgspec.json.encode([dispute_id, data]),
        lambda work: closing.close(work, case_id, data.why, withdrawn=data.withdrawn),
    )
    return msgspec.convert(answered(outcome), ClosedCase)


def _liability(case: Case) -> Liability:
    def shown(minor: int) -> MoneyOut:
        return money_out(Money(minor, case.currency))

    return Liability(
        disputed=shown(case.original_minor),
        recovered=shown(case.recovered_minor),
        written_off=shown(case.written_off_minor),
        denied=shown(case.denied_minor),
        remaining=shown(case.remaining_minor),
    )


def _shown_refund(refund: Refund, case: Case, *, waits: bool) -> ShownRefund:
    state = refund.state
    if state is RefundState.REQUESTED and not waits:
        # Nobody came; whoever touches the case next writes it down.
        state = RefundState.LAPSED
    return ShownRefund(
        id=refund.id,
        amount=money_out(Money(refund.amount_minor, case.currency)),
        source=refund.source.value,
        why=refund.why,
        state=state.value,
        maker=refund.maker,
        checker=refund.checker,
        at=refund.at,
    )


def _line(moment: Moment) -> Line:
    return Line(
        at=moment.at,
        source=moment.source,
        what=moment.what,
        detail=moment.detail,
        by=moment.by,
    )


def _next_step(case: Case, *, refund_waits: bool) -> str:
    if case.state is CaseState.CLOSED:
        return "Nothing: the case is closed."
    if refund_waits:
        return "A supervisor other than the one who asked approves the refund, within 24 hours."
    if case.remaining_minor == 0:
        return "Everything is given back: close the case."
    return f"Refund or close by {case.answer_by.isoformat()}."


HANDLERS: Final[list[Any]] = [waiting, whole, close]
