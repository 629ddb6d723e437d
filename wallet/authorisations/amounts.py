"""What a purchase costs its holder: the wallet's currency, at a rate fixed when it was allowed.

Promise: whole numbers only, every division rounds towards the house, and any way of cutting one
purchase into clearings charges the same in all: a part costs what the whole so far costs less what
was charged before.

    dollars on a riel wallet:  base = cents x mid / 10,000     mid: hundredths of a riel a dollar
    riel on a dollar wallet:   base = riel x 10,000 / mid      spread: parts of 10,000 of the base
    charge = ceil(base + spread); spread = floor(spread); rounding = charge - floor(base) - spread

Pure. Who calls: this package.
"""

from uuid import UUID

from msgspec import Struct

from wallet.money import Currency, Money

_WHOLE = 10_000


class Rate(Struct, frozen=True, kw_only=True):
    """The rate in force when a purchase was allowed: it holds for all that follows from it."""

    id: UUID
    mid_hundredths: int
    spread_bps: int


class Charge(Struct, frozen=True, kw_only=True):
    """What so much of a settlement amount costs in all: minor units of the wallet's currency."""

    charge: int
    spread: int
    rounding: int

    def less(self, before: "Charge") -> "Charge":
        return Charge(
            charge=self.charge - before.charge,
            spread=self.spread - before.spread,
            rounding=self.rounding - before.rounding,
        )


class Pricing(Struct, frozen=True, kw_only=True):
    """From the currency a network settles in to the wallet's; without a rate they are the same."""

    settlement: Currency
    wallet: Currency
    rate: Rate | None = None

    def of(self, minor: int) -> Charge:
        """What `minor` of the settlement currency costs."""
        rate = self.rate
        if rate is None:
            return Charge(charge=minor, spread=0, rounding=0)
        if self.settlement is Currency.USD:
            parts, over = minor * rate.mid_hundredths, _WHOLE
        else:
            parts, over = minor * _WHOLE, rate.mid_hundredths
        charge = -(-parts * (_WHOLE + rate.spread_bps) // (over * _WHOLE))
        spread = parts * rate.spread_bps // (over * _WHOLE)
        return Charge(charge=charge, spread=spread, rounding=charge - parts // over - spread)

    def between(self, before: int, after: int) -> Charge:
        """What going from `before` to `after` costs."""
        return self.of(after).less(self.of(before))

    def most(self, charge: int) -> int:
        """The largest settlement amount that costs no more than `charge`."""
        if self.rate is None or charge <= 0:
            return max(charge, 0)
        least, most = 0, max(charge * 2, charge * 200 * _WHOLE // self.rate.mid_hundredths + 1)
        while least < most:
            middle = (least + most + 1) // 2
            if self.of(middle).charge <= charge:
                least = middle
            else:
                most = middle - 1
        return least

    def credited(self, minor: int) -> int:
        """What `minor` of the settlement currency is worth to the holder when it comes back
        without a purchase of ours to go by: the base less the spread."""
        rate = self.rate
        if rate is None:
            return minor
        if self.settlement is Currency.USD:
            parts, over = minor * rate.mid_hundredths, _WHOLE
        else:
            parts, over = minor * _WHOLE, rate.mid_hundredths
        return parts * (_WHOLE - rate.spread_bps) // (over * _WHOLE)

    def money(self, charge: int) -> Money:
        return Money(charge, self.wallet)
