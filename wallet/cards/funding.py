"""What a purchase costs the wallet behind the card: the amount itself, or what it comes to in the
card's own currency.

Promise: a purchase in the card's currency is charged as it is. One in the other currency is
exchanged only where the holder signed that this card may, at the bank's rate and for the bank's
part, both told before and recorded with the purchase; else it is declined. All arithmetic is on
whole numbers and every division is rounded up, so no purchase is paid short.

    dollars on a riel card:  gross = cents x mid / 10,000    mid: hundredths of a riel a dollar
    riel on a dollar card:   gross = riel x 10,000 / mid     spread: parts of 10,000 of the gross
    total = what gross and spread come to together, fee = total - gross

Pure; owns no table. Who calls: create (what the holder signs), authorisations (what is held).
"""

from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.cards.states import Card
from wallet.exchange import RateSheet
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Reason
from wallet.terms import Term

_WHOLE: Final = 10_000


class Conversion(Struct, frozen=True, kw_only=True):
    """The rate a purchase was reckoned at. `gross` and `fee` are in the card's own currency."""

    rate_id: UUID
    mid_hundredths: int
    spread_bps: int
    gross: Money
    fee: Money


class Funding(Struct, frozen=True, kw_only=True):
    """`asked` by the merchant, `charged` to the wallet: the same without a `conversion`."""

    asked: Money
    charged: Money
    conversion: Conversion | None = None


def decide_funding(card: Card, asked: Money, rate: Term[RateSheet] | None) -> Funding | Declined:
    """What this purchase is charged at.

    Declines: CARD_CURRENCY_DIFFERS (the card pays its own currency only), EXCHANGE_UNAVAILABLE.
    """
    if asked.currency is card.currency:
        return Funding(asked=asked, charged=asked)
    if not card.exchanges:
        facts = {"currency": card.currency.value}
        return Declined(reason=Reason.CARD_CURRENCY_DIFFERS, facts=dict(facts))
    if rate is None:
        return Declined(reason=Reason.EXCHANGE_UNAVAILABLE)
    return converted(asked, rate.id, rate.what.mid_hundredths, rate.what.spread_bps)


def converted(asked: Money, rate_id: UUID, mid_hundredths: int, spread_bps: int) -> Funding:
    """`asked` in the other currency at a rate: today's, or the one recorded with a purchase when
    its clearing, reversal or return is reckoned."""
    if asked.currency is Currency.USD:
        parts, of, own = asked.minor * mid_hundredths, _WHOLE, Currency.KHR
    else:
        parts, of, own = asked.minor * _WHOLE, mid_hundredths, Currency.USD
    gross = _up(parts, of)
    total = _up(parts * (_WHOLE + spread_bps), of * _WHOLE)
    return Funding(
        asked=asked,
        charged=Money(total, own),
        conversion=Conversion(
            rate_id=rate_id,
            mid_hundredths=mid_hundredths,
            spread_bps=spread_bps,
            gross=Money(gross, own),
            fee=Money(total - gross, own),
        ),
    )


def _up(parts: int, of: int) -> int:
    return -(-parts // of)
