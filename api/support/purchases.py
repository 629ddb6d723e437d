"""Purchases as agents see them: found by the network's own key, one with its timeline.

Promise: last four digits at most; every look is audited for the person it concerns and shows in
their own feed; an agent of one bank sees no purchase of another's. Who calls: support agents.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import get
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.support.purchase_cases import SeenCase, seen_case
from api.wire import PAGE, Cursor, Limit, MoneyOut, Page, money_out, page_of, read_cursor
from wallet.access.members import Permission
from wallet.authorisations import reading
from wallet.authorisations.closing import closings_of
from wallet.authorisations.reading import Told
from wallet.authorisations.records import Event
from wallet.identifiers import HolderId
from wallet.money import Currency, Money
from wallet.work import Work

Key = Annotated[
    str,
    Parameter(query="key", min_length=3, max_length=200, description="The network's own, whole."),
]


class SeenPurchase(Struct, frozen=True, kw_only=True):
    """A purchase in a list."""

    id: UUID
    key: Annotated[str, Meta(examples=["CSS|ACLB|T0001|601200000001|000001|2026-01-12"])]
    holder_id: UUID | None
    card_last_four: Annotated[str | None, Meta(examples=["4242"])]
    merchant: Annotated[str, Meta(examples=["Kafé Ânkor"])]
    status: Annotated[str, Meta(examples=["SETTLED"])]
    asked: MoneyOut
    cardholder: MoneyOut
    at: datetime


class SeenStep(Struct, frozen=True, kw_only=True):
    """One line of the timeline: what was said, what was decided, where it left the purchase."""

    kind: Annotated[str, Meta(examples=["CLEARING"])]
    at: datetime
    message: Annotated[str, Meta(examples=["clearing|CSS|ACLB|T0001|601200000001"])]
    decision: Annotated[str, Meta(examples=["approved"])]
    cardholder: MoneyOut
    settlement: MoneyOut
    held_after: MoneyOut
    paid_by_suspense: MoneyOut


class Timeline(Struct, frozen=True, kw_only=True):
    purchase: SeenPurchase
    steps: list[SeenStep]
    cases: list[SeenCase]


class FoundPurchases(Struct, frozen=True, kw_only=True):
    items: list[SeenPurchase]


@get(
    "/purchases",
    guards=[with_permission(Permission.CASE_WORK)],
    summary="Find purchases by the network's key",
)
async def find_purchases(key: Key, caller: StaffCaller, resources: Resources) -> FoundPurchases:
    async def look(work: Work) -> FoundPurchases:
        found = await reading.by_key(work, key.strip())
        for told in found:
            _noted(work, told)
        return FoundPurchases(items=[_seen(told, work.now) for told in found])

    return await resources.works.perform(caller.actor, caller.bank, look)


@get(
    "/holders/{holder_id:uuid}/purchases",
    guards=[with_permission(Permission.CASE_WORK)],
    summary="A person's purchases, newest first",
)
async def persons_purchases(
    holder_id: UUID,
    caller: StaffCaller,
    resources: Resources,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[SeenPurchase]:
    place = read_cursor(cursor, tuple[datetime, UUID])

    async def look(work: Work) -> tuple[list[Told], datetime]:
        work.note("support.purchases", str(holder_id), holder_id=HolderId(holder_id))
        found = await reading.of_holder(work, HolderId(holder_id), before=place, limit=limit + 1)
        return found, work.now

    found, now = await resources.works.perform(caller.actor, caller.bank, look)
    page = page_of(found, limit, lambda told: (told.purchase.at, told.purchase.id))
    return Page(items=[_seen(told, now) for told in page.items], next=page.next)


@get(
    "/purchases/{purchase_id:uuid}",
    guards=[with_permission(Permission.CASE_WORK)],
    summary="One purchase, step by step",
)
async def purchase_timeline(
    purchase_id: UUID, caller: StaffCaller, resources: Resources
) -> Timeline:
    async def look(work: Work) -> Timeline:
        told = await reading.find(work, purchase_id)
        _noted(work, told)
        cases = await reading.cases_of(work, purchase_id)
        closed = await closings_of(work, [case.id for case in cases])
        return Timeline(
            purchase=_seen(told, work.now),
            steps=[_step(event) for event in told.events],
            cases=[seen_case(case, closed.get(case.id)) for case in cases],
        )

    return await resources.works.perform(caller.actor, caller.bank, look)


def _noted(work: Work, told: Told) -> None:
    if told.purchase.holder_id is not None:
        subject = str(told.purchase.id)
        work.note("support.purchase", subject, holder_id=told.purchase.holder_id)


def _seen(told: Told, now: datetime) -> SeenPurchase:
    purchase = told.purchase
    return SeenPurchase(
        id=purchase.id,
        key=purchase.key,
        holder_id=purchase.holder_id,
        card_last_four=purchase.last_four,
        merchant=purchase.merchant.name,
        status=told.status(now).value,
        asked=money_out(told.asked),
        cardholder=money_out(told.cardholder),
        at=purchase.at,
    )


def _step(event: Event) -> SeenStep:
    wallet = Currency(event.cardholder_currency)
    return SeenStep(
        kind=event.kind.value,
        at=event.at,
        message=event.message_key,
        decision=event.reason or "approved",
        cardholder=money_out(Money(event.cardholder_minor, wallet)),
        settlement=money_out(Money(event.settlement_minor, Currency(event.settlement_currency))),
        held_after=money_out(Money(event.standing.held_minor, wallet)),
        paid_by_suspense=money_out(Money(event.short_minor, wallet)),
    )


HANDLERS: Final[list[Any]] = [
    find_purchases,
    persons_purchases,
    purchase_timeline,
]
