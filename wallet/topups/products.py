"""What can be bought: airtime by operator, in dollars or at fixed prices in riel.

Promise: airtime is dollars; riel buys it at a fixed rate, so what reaches the phone is known, and
shown, before the holder confirms. Every price delivers whole cents. Pure data.
Who calls: buying, the phone's door.
"""

import enum
from typing import Final

from msgspec import Struct

from wallet.money import Currency, Money
from wallet.outcomes import Reason, Refused
from wallet.topups.numbers import OPERATORS

RIEL_PER_CENT: Final = 40
"""Operators sell airtime at 4,000 riel to the dollar, whatever the day's rate."""


class ProductKind(enum.StrEnum):
    RANGE = "range"
    FIXED = "fixed"


class Product(Struct, frozen=True, kw_only=True):
    """One thing on sale. A fixed one has `smallest` = `largest`; a range goes up by `step_minor`.

    `provider_product` is the aggregator's name for it; `buttons_minor` are amounts worth offering.
    """

    code: str
    operator: str
    kind: ProductKind
    currency: Currency
    smallest_minor: int
    largest_minor: int
    step_minor: int
    buttons_minor: tuple[int, ...]
    provider_product: str

    def sells(self, price: Money) -> bool:
        """Whether `price` is one this product can be bought at."""
        return (
            price.currency is self.currency
            and self.smallest_minor <= price.minor <= self.largest_minor
            and (price.minor - self.smallest_minor) % self.step_minor == 0
        )


def delivered(price: Money) -> Money:
    """The airtime, in dollars, that a price buys. Prices on sale always give whole cents."""
    if price.currency is Currency.USD:
        return price
    cents, rest = divmod(price.minor, RIEL_PER_CENT)
    if rest:
        raise ValueError(f"{price.minor} riel buys no whole number of cents")
    return Money.usd(cents)


def products_of(operator: str) -> tuple[Product, ...]:
    """What is sold for an operator, dollars first; nothing when its airtime is not sold."""
    return tuple(product for product in CATALOGUE if product.operator == operator)


def on_sale(operator: str | None = None, *, after: str = "") -> tuple[Product, ...]:
    """What is sold (for one operator, or all), in order of code, past the code `after`."""
    offered = CATALOGUE if operator is None else products_of(operator)
    return tuple(sorted((p for p in offered if p.code > after), key=lambda p: p.code))


def choose(operator: str, code: str | None, price: Money) -> Product:
    """The product meant: the one named, or the operator's that sells at this price.

    Refuses: operator_unknown, product_unknown (no such product of this operator), and
    amount_out_of_range (with the bounds in minor units).
    """
    if operator not in OPERATORS:
        raise Refused(Reason.OPERATOR_UNKNOWN, operator=operator)
    offered = [p for p in products_of(operator) if code in (None, p.code)]
    offered = [p for p in offered if p.currency is price.currency]
    if not offered:
        raise Refused(Reason.PRODUCT_UNKNOWN, operator=operator)
    for product in offered:
        if product.sells(price):
            return product
    raise Refused(
        Reason.AMOUNT_OUT_OF_RANGE,
        smallest_minor=min(p.smallest_minor for p in offered),
        largest_minor=max(p.largest_minor for p in offered),
        currency=price.currency.value,
    )


_SOLD: Final = ("CELLCARD", "SMART", "METFONE", "SEATEL")
_RIEL_PRICES: Final = (5_000, 10_000, 20_000)


def _dollars(operator: str) -> Product:
    return Product(
        code=f"{operator}-USD",
        operator=operator,
        kind=ProductKind.RANGE,
        currency=Currency.USD,
        smallest_minor=100,
        largest_minor=10_000,
        step_minor=1,
        buttons_minor=(100, 200, 500, 1_000, 2_000, 5_000),
        provider_product=f"{operator}-AIRTIME",
    )


def _riel(operator: str, price: int) -> Product:
    return Product(
        code=f"{operator}-KHR-{price}",
        operator=operator,
        kind=ProductKind.FIXED,
        currency=Currency.KHR,
        smallest_minor=price,
        largest_minor=price,
        step_minor=1,
        buttons_minor=(price,),
        provider_product=f"{operator}-AIRTIME",
    )


CATALOGUE: Final = tuple(
    product
    for operator in _SOLD
    for product in (_dollars(operator), *(_riel(operator, price) for price in _RIEL_PRICES))
)
BY_CODE: Final = {product.code: product for product in CATALOGUE}
