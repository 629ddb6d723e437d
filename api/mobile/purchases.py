"""The holder's purchases with cards: the list, one with all that happened, and open questions.

Promise: a status is that of the moment of reading; a decline says why in both languages and what
can be done about it; another's purchase is as good as none. Who calls: the app.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import get
from msgspec import Meta, Struct

from api.resources import Resources
from api.security import HolderCaller
from api.wire import PAGE, Cursor, Limit, MoneyOut, Page, money_out, page_of, read_cursor
from notifications.declines import explained
from wallet.authorisations import habits, reading
from wallet.authorisations.habits import Challenge
from wallet.authorisations.reading import Told
from wallet.authorisations.records import Event
from wallet.money import Currency, Money
from wallet.outcomes import Reason, Refused
from wallet.work import Work


class Explanation(Struct, frozen=True, kw_only=True):
    """Why it was declined, and what the app offers to do about it."""

    reason: Annotated[str, Meta(examples=["card_frozen"])]
    en: str
    km: str
    next_step: Annotated[str, Meta(examples=["unfreeze_card"])]


class ShownRate(Struct, frozen=True, kw_only=True):
    """The rate a purchase was reckoned at: hundredths of a riel a dollar, and the bank's part."""

    mid_hundredths: Annotated[int, Meta(examples=[410_000])]
    spread_bps: Annotated[int, Meta(examples=[100])]


class ShownPurchase(Struct, frozen=True, kw_only=True):
    """A purchase. `cardholder` is what it costs now: held and paid, less what came back."""

    id: UUID
    card_last_four: Annotated[str, Meta(examples=["4242"])]
    merchant: Annotated[str, Meta(examples=["Kafé Ânkor"])]
    merchant_country: Annotated[str, Meta(examples=["KH"])]
    mcc: Annotated[str, Meta(examples=["5814"])]
    status: Annotated[str, Meta(examples=["PENDING"])]
    asked: MoneyOut
    cardholder: MoneyOut
    hold: MoneyOut
    held_until: datetime | None
    fee: MoneyOut
    rate: ShownRate | None
    declined: Explanation | None
    at: datetime


class ShownEvent(Struct, frozen=True, kw_only=True):
    """One thing that happened, with its four amounts."""

    kind: Annotated[str, Meta(examples=["CLEARING"])]
    at: datetime
    approved: bool
    cardholder: MoneyOut
    hold: MoneyOut
    merchant_minor: Annotated[int, Meta(examples=[1_000])]
    merchant_currency: Annotated[str, Meta(examples=["USD"])]
    settlement: MoneyOut
    declined: Explanation | None


class PurchaseInFull(Struct, frozen=True, kw_only=True):
    purchase: ShownPurchase
    events: list[ShownEvent]


class ShownQuestion(Struct, frozen=True, kw_only=True):
    """A purchase out of pattern: say yes with the intent purchase.confirm, then pay again."""

    challenge_id: UUID
    card_last_four: Annotated[str, Meta(examples=["4242"])]
    merchant: Annotated[str, Meta(examples=["Bangkok Books"])]
    merchant_country: Annotated[str, Meta(examples=["TH"])]
    money: MoneyOut
    rule: Annotated[str, Meta(examples=["first_foreign"])]
    confirm_by: datetime


class Questions(Struct, frozen=True, kw_only=True):
    items: list[ShownQuestion]


@get("/purchases", summary="My purchases with cards, newest first")
async def own_purchases(
    caller: HolderCaller, resources: Resources, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[ShownPurchase]:
    place = read_cursor(cursor, tuple[str, UUID])
    before = (_moment(place[0]), place[1]) if place else None

    async def read(work: Work) -> tuple[list[Told], datetime]:
        found = await reading.of_holder(work, caller.holder_id, before=before, limit=limit + 1)
        return found, work.now

    found, now = await resources.works.read(caller.actor, caller.bank, read)
    page = page_of(found, limit, lambda told: (told.purchase.at.isoformat(), told.purchase.id))
    return Page(items=[shown_purchase(told, now) for told in page.items], next=page.next)


@get("/purchases/{purchase_id:uuid}", summary="One of my purchases, with all that happened to it")
async def own_purchase(
    purchase_id: UUID, caller: HolderCaller, resources: Resources
) -> PurchaseInFull:
    async def read(work: Work) -> PurchaseInFull:
        told = await reading.find(work, purchase_id)
        if told.purchase.holder_id != caller.holder_id:
            raise Refused(Reason.NOT_FOUND)
        events = [shown_event(event) for event in told.events]
        return PurchaseInFull(purchase=shown_purchase(told, work.now), events=events)

    return await resources.works.read(caller.actor, caller.bank, read)


@get("/purchase-questions", summary="Purchases that wait for my yes")
async def own_questions(caller: HolderCaller, resources: Resources) -> Questions:
    found = await resources.works.read(
        caller.actor, caller.bank, lambda work: habits.waiting(work, caller.holder_id)
    )
    return Questions(items=[_question(one) for one in found])


def shown_purchase(told: Told, now: datetime) -> ShownPurchase:
    purchase, standing = told.purchase, told.standing
    rate = standing.rate
    first = told.events[0]
    return ShownPurchase(
        id=purchase.id,
        card_last_four=purchase.last_four or "",
        merchant=purchase.merchant.name,
        merchant_country=purchase.merchant.country,
        mcc=purchase.merchant.mcc,
        status=told.status(now).value,
        asked=money_out(told.asked),
        cardholder=money_out(told.cardholder),
        hold=money_out(Money(standing.held_minor, standing.wallet)),
        held_until=standing.expires_at if standing.holds(now) else None,
        fee=money_out(Money(standing.fee_minor, standing.wallet)),
        rate=None
        if rate is None
        else ShownRate(mid_hundredths=rate.mid_hundredths, spread_bps=rate.spread_bps),
        declined=_explanation(first.reason),
        at=purchase.at,
    )


def shown_event(event: Event) -> ShownEvent:
    wallet = Currency(event.cardholder_currency)
    return ShownEvent(
        kind=event.kind.value,
        at=event.at,
        approved=event.reason is None,
        cardholder=money_out(Money(event.cardholder_minor, wallet)),
        hold=money_out(Money(event.standing.held_minor, wallet)),
        merchant_minor=event.merchant_minor,
        merchant_currency=event.merchant_currency,
        settlement=money_out(Money(event.settlement_minor, Currency(event.settlement_currency))),
        declined=_explanation(event.reason),
    )


def _explanation(reason: str | None) -> Explanation | None:
    if reason is None:
        return None
    why = explained(reason)
    return Explanation(reason=reason, en=why.en, km=why.km, next_step=why.step.value)


def _question(challenge: Challenge) -> ShownQuestion:
    return ShownQuestion(
        challenge_id=challenge.id,
        card_last_four=challenge.last_four,
        merchant=challenge.merchant_name,
        merchant_country=challenge.country,
        money=money_out(challenge.money),
        rule=challenge.rule,
        confirm_by=challenge.ends_at,
    )


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Refused(Reason.CURSOR_INVALID) from None


HANDLERS: Final[list[Any]] = [own_purchases, own_purchase, own_questions]
