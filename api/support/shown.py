"""What agents see of people and cases: masked, in one shape everywhere.

Promise: no telephone, no account and no card number has a field here. Who calls: the modules of
this door.
"""

from datetime import date, datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from api.wire import MoneyOut, money_out
from wallet.disputes.cases import Case
from wallet.money import Money
from wallet.registry.holders import Holder

SEEN: Final = ("name", "bank", "agency", "staff_no", "cases")
"""What whoever is shown a person and their cases has seen of them, as the holder reads it."""


class ShownPerson(Struct, frozen=True, kw_only=True):
    """A holder as an agent may know them."""

    holder_id: UUID
    name_latin: Annotated[str, Meta(examples=["SOK DARA"])]
    name_khmer: Annotated[str, Meta(examples=["សុខ ដារ៉ា"])]
    bank: Annotated[str, Meta(examples=["ACLEDA"])]
    agency: Annotated[str, Meta(examples=["MCS"])]
    staff_no: Annotated[str, Meta(examples=["1200000048"])]
    status: Annotated[str, Meta(examples=["ACTIVE"])]


class ShownCase(Struct, frozen=True, kw_only=True):
    """A case in a list: what is in dispute, what is left of it, and by when."""

    id: UUID
    case_number: Annotated[str, Meta(examples=["D-2026-000017"])]
    bank: Annotated[str, Meta(examples=["ACLEDA"])]
    reason: Annotated[str, Meta(examples=["TOPUP_NOT_DELIVERED"])]
    state: Annotated[str, Meta(examples=["OPEN"])]
    disposition: Annotated[str | None, Meta(examples=[None])]
    disputed: MoneyOut
    remaining: MoneyOut
    answer_by: date
    opened_at: datetime
    refund_waits: Annotated[bool, Meta(description="A refund waits for a second person.")]


def shown_person(holder: Holder) -> ShownPerson:
    return ShownPerson(
        holder_id=holder.id,
        name_latin=holder.name_latin,
        name_khmer=holder.name_khmer,
        bank=holder.bank,
        agency=holder.agency,
        staff_no=holder.staff_no,
        status=holder.status.value,
    )


def shown_case(case: Case, *, refund_waits: bool) -> ShownCase:
    return ShownCase(
        id=case.id,
        case_number=case.case_number,
        bank=case.bank,
        reason=case.reason.value,
        state=case.state.value,
        disposition=None if case.disposition is None else case.disposition.value,
        disputed=money_out(Money(case.original_minor, case.currency)),
        remaining=money_out(case.remaining),
        answer_by=case.answer_by,
        opened_at=case.opened_at,
        refund_waits=refund_waits,
    )
