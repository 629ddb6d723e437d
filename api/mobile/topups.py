"""Top-ups at the phones' door: what is sold, and what became of what was bought.

Promise: reading only, buying is an intent (`topup.buy`); a holder sees their own, with the number
masked. No number is asked for here, so none lands in an address or a log: the app finds the
operator by the prefixes told with each product. Who calls: the app.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import get
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.resources import Resources
from api.security import HolderCaller
from api.wire import PAGE, Cursor, Limit, MoneyOut, Page, money_out, page_of, read_cursor
from wallet import topups
from wallet.identifiers import TopupId
from wallet.money import Money
from wallet.outcomes import Reason, Refused
from wallet.topups import Product, Topup
from wallet.work import Work


class ShownOperator(Struct, frozen=True, kw_only=True):
    """An operator, and the blocks of numbers it was given: a proposal the holder may change."""

    code: Annotated[str, Meta(examples=["SMART"])]
    name: Annotated[str, Meta(examples=["Smart"])]
    prefixes: Annotated[list[str], Meta(examples=[["010", "015"]])]


class ShownPrice(Struct, frozen=True, kw_only=True):
    """An amount worth a button, and the airtime it gives."""

    price: MoneyOut
    delivered: MoneyOut


class ShownProduct(Struct, frozen=True, kw_only=True):
    """Something on sale: `range` takes any amount between its bounds, `fixed` the one."""

    code: Annotated[str, Meta(examples=["SMART-KHR-5000"])]
    operator: ShownOperator
    kind: Annotated[str, Meta(examples=["fixed"])]
    smallest: MoneyOut
    largest: MoneyOut
    step_minor: int
    buttons: list[ShownPrice]


class ShownTopup(Struct, frozen=True, kw_only=True):
    """A top-up as it stands. `state` HELD, SENT and UNKNOWN are all "being sent" to a person."""

    id: TopupId
    operator: Annotated[str, Meta(examples=["SMART"])]
    phone: Annotated[str, Meta(description="Masked.", examples=["010 ••• 567"])]
    product: str
    price: MoneyOut
    delivered: MoneyOut
    fee: MoneyOut | None
    state: Annotated[str, Meta(examples=["SUCCEEDED"])]
    reason: Annotated[str | None, Meta(description="Why it FAILED.", examples=[None])]
    created_at: datetime
    updated_at: datetime


@get("/topup-products", summary="What airtime is sold", sync_to_thread=False)
def products(
    caller: HolderCaller,
    operator: Annotated[
        str | None, Parameter(query="operator", max_length=20, description="Only this one's.")
    ] = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[ShownProduct]:
    after = read_cursor(cursor, tuple[str])
    found = topups.on_sale(operator, after=after[0] if after else "")
    page = page_of(list(found[: limit + 1]), limit, lambda product: (product.code,))
    shown = [_product(product, caller.language) for product in page.items]
    return Page(items=shown, next=page.next)


@get("/topups", summary="My top-ups, newest first")
async def own_topups(
    caller: HolderCaller, resources: Resources, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[ShownTopup]:
    before = read_cursor(cursor, tuple[UUID])

    async def read(work: Work) -> list[Topup]:
        place = TopupId(before[0]) if before else None
        return await topups.of_holder(work, caller.holder_id, before=place, limit=limit + 1)

    found = await resources.works.read(caller.actor, caller.bank, read)
    page = page_of(found, limit, lambda topup: (topup.id,))
    return Page(items=[_topup(one, caller.language) for one in page.items], next=page.next)


@get("/topups/{topup_id:uuid}", summary="One of my top-ups")
async def own_topup(topup_id: UUID, caller: HolderCaller, resources: Resources) -> ShownTopup:
    async def read(work: Work) -> Topup | None:
        return await topups.by_id(work, TopupId(topup_id))

    found = await resources.works.read(caller.actor, caller.bank, read)
    if found is None or found.holder_id != caller.holder_id:
        raise Refused(Reason.NOT_FOUND)
    return _topup(found, caller.language)


def _topup(topup: Topup, language: str) -> ShownTopup:
    return ShownTopup(
        id=topup.id,
        operator=topup.operator,
        phone=topup.phone_masked,
        product=topup.product,
        price=money_out(topup.money, language),
        delivered=money_out(topup.delivered, language),
        fee=money_out(topup.fee, language) if topup.fee else None,
        state=topup.state.value,
        reason=topup.shown_reason,
        created_at=topup.created_at,
        updated_at=topup.updated_at,
    )


def _product(product: Product, language: str) -> ShownProduct:
    prices = [Money(minor, product.currency) for minor in product.buttons_minor]
    return ShownProduct(
        code=product.code,
        operator=ShownOperator(
            code=product.operator,
            name=topups.OPERATORS[product.operator],
            prefixes=[f"0{block}" for block in topups.PREFIXES[product.operator].split()],
        ),
        kind=product.kind.value,
        smallest=money_out(Money(product.smallest_minor, product.currency), language),
        largest=money_out(Money(product.largest_minor, product.currency), language),
        step_minor=product.step_minor,
        buttons=[
            ShownPrice(
                price=money_out(price, language),
                delivered=money_out(topups.delivered(price), language),
            )
            for price in prices
        ],
    )


HANDLERS: Final[list[Any]] = [products, own_topups, own_topup]
