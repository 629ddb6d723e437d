"""Disputes at the phones' door: opening a case about one's own transaction, and following it.

Promise: one case a transaction; how far it is stands in the holder's own language. Who calls: the
app.
"""

from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import HolderCaller
from api.wire import PAGE, Body, Cursor, Limit, MoneyOut, Page, money_out, page_of, read_cursor
from wallet.disputes import cases
from wallet.disputes.cases import LONGEST_STATEMENT, Case, Cause, Disposition
from wallet.identifiers import DisputeId, TransferId
from wallet.money import Money


class OpenDispute(Body, frozen=True, kw_only=True):
    """What is wrong with one entry of the account, in the holder's words."""

    transaction_id: Annotated[UUID, Meta(description="`transfer_id` of the entry.")]
    reason: Annotated[Cause, Meta(examples=["TOPUP_NOT_DELIVERED"])]
    statement: Annotated[
        str,
        Meta(
            max_length=LONGEST_STATEMENT,
            description="Card numbers in it are masked.",
            examples=["No credit on my phone, and the money is gone."],
        ),
    ] = ""


class OpenedDispute(Struct, frozen=True, kw_only=True):
    dispute_id: UUID
    case_number: Annotated[str, Meta(examples=["D-2026-000017"])]
    state: Annotated[str, Meta(examples=["OPEN"])]
    answer_by: Annotated[date, Meta(description="The last day for an answer.")]


class OwnDispute(Struct, frozen=True, kw_only=True):
    """A case as its holder sees it."""

    dispute_id: UUID
    case_number: Annotated[str, Meta(examples=["D-2026-000017"])]
    transaction_id: UUID
    reason: Annotated[str, Meta(examples=["TOPUP_NOT_DELIVERED"])]
    statement: Annotated[str, Meta(examples=["No credit on my phone, and the money is gone."])]
    state: Annotated[str, Meta(examples=["OPEN"])]
    disposition: Annotated[str | None, Meta(examples=[None])]
    disputed: MoneyOut
    given_back: MoneyOut
    progress: Annotated[str, Meta(examples=["We are looking into it: answer by 2026-01-14."])]
    answer_by: date
    opened_at: datetime
    closed_at: datetime | None


@post("/disputes", summary="Dispute one of my transactions")
async def open_dispute(
    data: OpenDispute, caller: HolderCaller, resources: Resources, idempotency_key: str
) -> OpenedDispute:
    """Within 120 days; money only held is not taken yet and cannot be disputed."""
    transaction = TransferId(data.transaction_id)
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        caller.bank,
        "dispute.open",
        idempotency_key,
        msgspec.json.encode(data),
        lambda work: cases.open_case(
            work, caller.holder_id, transaction, data.reason, data.statement
        ),
    )
    return msgspec.convert(answered(outcome), OpenedDispute)


@get("/disputes", summary="My cases, newest first")
async def own_disputes(
    caller: HolderCaller, resources: Resources, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[OwnDispute]:
    key = read_cursor(cursor, tuple[datetime, UUID])
    before = (key[0], DisputeId(key[1])) if key else None
    found = await resources.works.read(
        caller.actor,
        caller.bank,
        lambda work: cases.of_holder(work, caller.holder_id, before=before, limit=limit + 1),
    )
    page = page_of(found, limit, lambda case: (case.opened_at, case.id))
    return Page(items=[_shown(case, caller.language) for case in page.items], next=page.next)


def _shown(case: Case, language: str) -> OwnDispute:
    given_back = Money(case.recovered_minor + case.written_off_minor, case.currency)
    return OwnDispute(
        dispute_id=case.id,
        case_number=case.case_number,
        transaction_id=case.transfer_id,
        reason=case.reason.value,
        statement=case.statement,
        state=case.state.value,
        disposition=None if case.disposition is None else case.disposition.value,
        disputed=money_out(Money(case.original_minor, case.currency), language),
        given_back=money_out(given_back, language),
        progress=progress_of(case, given_back, language),
        answer_by=case.answer_by,
        opened_at=case.opened_at,
        closed_at=case.closed_at,
    )


def progress_of(case: Case, given_back: Money, language: str) -> str:
    """How far a case is, in one sentence."""
    if case.disposition is None:
        english, khmer = _PARTLY if given_back.minor else _LOOKING
    else:
        english, khmer = _ENDED[case.disposition]
    sentence = khmer if language == "km" else english
    return sentence.format(
        given_back=given_back.display(language), answer_by=case.answer_by.isoformat()
    )


_LOOKING: Final = (
    "We are looking into it: answer by {answer_by}.",
    "យើងកំពុងពិនិត្យ៖ អ្នកនឹងទទួលចម្លើយត្រឹមថ្ងៃ {answer_by}។",
)
_PARTLY: Final = (
    "{given_back} given back so far; answer on the rest by {answer_by}.",
    "បានសង {given_back} រួចហើយ៖ ចម្លើយអំពីចំនួននៅសល់ត្រឹមថ្ងៃ {answer_by}។",
)
_ENDED: Final[dict[Disposition, tuple[str, str]]] = {
    Disposition.WON: (
        "Closed in your favour: all of it is given back.",
        "បានបិទ៖ ទឹកប្រាក់ទាំងអស់ត្រូវបានសងវិញ។",
    ),
    Disposition.PARTIALLY_WON: (
        "Closed: {given_back} given back, the rest is not.",
        "បានបិទ៖ បានសង {given_back} ចំនួននៅសល់មិនត្រូវបានសងទេ។",
    ),
    Disposition.DENIED: (
        "Closed: nothing is given back. You may call support.",
        "បានបិទ៖ មិនមានការសងប្រាក់វិញទេ។ អ្នកអាចហៅផ្នែកជំនួយ។",
    ),
    Disposition.WITHDRAWN: (
        "Closed: you withdrew it.",
        "បានបិទ៖ អ្នកបានដកពាក្យតវ៉ាវិញ។",
    ),
}

HANDLERS: Final[list[Any]] = [open_dispute, own_disputes]
