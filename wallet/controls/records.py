"""What was decided on each purchase, written down for good: the history drafts are tried on.

Promise: one row a purchase with what the rules may look at and what they said, one for each giving
back; append-only, walled by bank; nothing of the card but its id. Where a version in shadow would
have decided otherwise stands beside it.

Tables owned: control_evaluations, control_shadows. Who calls: group (writing), history (reading).
"""

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.controls.purchases import Merchant, Purchase
from wallet.database import Record
from wallet.identifiers import CardId, HolderId
from wallet.limits import Channel
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Reason
from wallet.work import Work


class Step(enum.StrEnum):
    DECIDED = "decided"
    FORCED = "forced"
    GIVEN_BACK = "given_back"


class Evaluation(Struct, frozen=True, kw_only=True):
    """One row. Of a giving back, `amount` is what went back of what was counted at `moment`."""

    purchase: Purchase
    step: Step
    amount: Money
    another: bool
    at: datetime
    counted: bool = False
    reason: Reason | None = None
    set_by: str | None = None


class Would(Struct, frozen=True, kw_only=True):
    """A version in shadow would have said otherwise: declined, or, without one, allowed."""

    sheet_id: UUID
    purchase: Purchase
    declined: Declined | None


def evaluated(
    purchase: Purchase, step: Step, declined: Declined | None, *, counted: bool = False
) -> Evaluation:
    return Evaluation(
        purchase=purchase,
        step=step,
        amount=purchase.amount,
        another=purchase.another,
        at=purchase.moment,
        counted=counted,
        reason=None if declined is None else declined.reason,
        set_by=None if declined is None else str(declined.facts.get("set_by", "limits")),
    )


def given_back(purchase: Purchase, back: Money, *, whole: bool, at: datetime) -> Evaluation:
    return Evaluation(
        purchase=purchase,
        step=Step.GIVEN_BACK,
        amount=back,
        another=whole and purchase.another,
        at=at,
        counted=True,
    )


def read_back(row: Record) -> Evaluation:
    """A stored row as it was told; of a giving back, without the shop."""
    amount = Money(row["amount_minor"], Currency(row["currency"]))
    purchase = Purchase(
        id=row["purchase_id"],
        card_id=CardId(row["card_id"]),
        holder_id=HolderId(row["holder_id"]),
        amount=amount,
        merchant=Merchant(
            id=row["merchant_id"] or "",
            name=row["merchant_name"] or "",
            mcc=row["mcc"] or "0000",
            country=row["country"] or "ZZ",
            city=row["city"] or "",
        ),
        channel=Channel(row["channel"] or "online"),
        moment=row["moment"],
        another=row["another"],
    )
    return Evaluation(
        purchase=purchase,
        step=Step(row["step"]),
        amount=amount,
        another=row["another"],
        at=row["at"],
        counted=row["counted"],
        reason=None if row["reason"] is None else Reason(row["reason"]),
        set_by=row["set_by"],
    )


async def purchases_of(work: Work, purchase_ids: Sequence[UUID]) -> dict[UUID, Purchase]:
    """What was asked, by its id: for giving back what was counted."""
    return {
        row["purchase_id"]: read_back(row).purchase
        for row in await work.rows(_PURCHASES, list(purchase_ids))
    }


def store(work: Work, evaluations: Sequence[Evaluation], would: Sequence[Would]) -> None:
    """Have them written with the Work's next statement."""
    if evaluations:
        work.store("control_evaluations", _ADD, work.bank, *_columns(evaluations))
    if would:
        work.store("control_shadows", _ADD_SHADOWS, work.bank, work.now, *_shadowed(would))


def _columns(rows: Sequence[Evaluation]) -> tuple[list[object], ...]:
    told = [None if row.step is Step.GIVEN_BACK else row.purchase for row in rows]
    shops = [None if one is None else one.merchant for one in told]
    return (
        [row.purchase.id for row in rows],
        [row.step.value for row in rows],
        [row.purchase.holder_id for row in rows],
        [row.purchase.card_id for row in rows],
        [row.purchase.moment for row in rows],
        [row.at for row in rows],
        [row.amount.minor for row in rows],
        [row.amount.currency.value for row in rows],
        [row.another for row in rows],
        [row.counted for row in rows],
        [None if row.reason is None else row.reason.value for row in rows],
        [row.set_by for row in rows],
        [None if shop is None else shop.id for shop in shops],
        [None if shop is None else shop.name for shop in shops],
        [None if shop is None else shop.mcc for shop in shops],
        [None if shop is None else shop.country for shop in shops],
        [None if shop is None else shop.city for shop in shops],
        [None if one is None else one.channel.value for one in told],
    )


def _shadowed(rows: Sequence[Would]) -> tuple[list[object], ...]:
    declined = [row.declined for row in rows]
    return (
        [row.sheet_id for row in rows],
        [row.purchase.id for row in rows],
        ["approve" if one is None else "decline" for one in declined],
        [None if one is None else one.reason.value for one in declined],
        [None if one is None else _rule(one) for one in declined],
        [row.purchase.amount.minor for row in rows],
        [row.purchase.amount.currency.value for row in rows],
        [row.purchase.card_id for row in rows],
    )


def _rule(declined: Declined) -> str:
    return str(declined.facts.get("rule") or declined.facts.get("limit"))


_PURCHASES: Final = """
select * from control_evaluations where purchase_id = any($1) and step <> 'given_back'
"""

# A purchase that came twice at once is one row: the authorisations' own key decides which stays.
_ADD: Final = """
insert into control_evaluations (bank, purchase_id, step, holder_id, card_id, moment, at,
                                 amount_minor, currency, another, counted, reason, set_by,
                                 merchant_id, merchant_name, mcc, country, city, channel)
select $1, * from unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::timestamptz[],
                         $7::timestamptz[], $8::bigint[], $9::text[], $10::boolean[],
                         $11::boolean[], $12::text[], $13::text[], $14::text[], $15::text[],
                         $16::text[], $17::text[], $18::text[], $19::text[])
on conflict do nothing
"""

_ADD_SHADOWS: Final = """
insert into control_shadows (bank, at, sheet_id, purchase_id, would, reason, rule, amount_minor,
                             currency, card_id)
select $1, $2, * from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                             $8::bigint[], $9::text[], $10::uuid[])
on conflict do nothing
"""
