"""Money as whole minor units of one currency, and nothing else.

Promise: amounts are integers (whole riel; US cents), arithmetic never crosses currencies, never
rounds and never becomes a float. Who calls: everyone.
"""

import enum
import re
from typing import Final

from msgspec import Struct

LARGEST_MINOR: Final = 2**63 - 1


class Currency(enum.Enum):
    """ISO 4217 currencies the books are kept in. Riel has no coin below one; dollars have cents."""

    KHR = "KHR"
    USD = "USD"

    @property
    def numeric(self) -> str:
        """The ISO 4217 numeric code as printed in KHQR and ISO 8583."""
        return "116" if self is Currency.KHR else "840"

    @property
    def exponent(self) -> int:
        """Decimal digits of the minor unit in these books (0 for riel, 2 for dollars)."""
        return 0 if self is Currency.KHR else 2

    @classmethod
    def from_numeric(cls, code: str) -> "Currency | None":
        return _BY_NUMERIC.get(code)


_BY_NUMERIC: Final = {"116": Currency.KHR, "840": Currency.USD}
_DECIMAL: Final = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,2}))?")
_KHMER_DIGITS: Final = str.maketrans("0123456789", "០១២៣៤៥៦៧៨៩")


class CurrencyMismatchError(TypeError):
    """Two amounts of different currencies met in one sum: a defect in the caller."""


class Money(Struct, frozen=True, order=False):
    """An amount in minor units of one currency. May be negative only as a difference."""

    minor: int
    currency: Currency

    @classmethod
    def khr(cls, riel: int) -> "Money":
        return cls(riel, Currency.KHR)

    @classmethod
    def usd(cls, cents: int) -> "Money":
        return cls(cents, Currency.USD)

    @classmethod
    def parse(cls, text: str, currency: Currency) -> "Money | None":
        """Read a plain decimal (`1309477`, `12.50`); None when it is not exactly representable."""
        match = _DECIMAL.fullmatch(text)
        if match is None:
            return None
        whole, fraction = match.group(1), match.group(2) or ""
        if len(fraction) > currency.exponent:
            if fraction.strip("0"):
                return None
            fraction = ""
        minor = int(whole + fraction.ljust(currency.exponent, "0"))
        return cls(minor, currency) if minor <= LARGEST_MINOR else None

    def _same(self, other: "Money") -> None:
        if self.currency is not other.currency:
            raise CurrencyMismatchError(f"{self.currency.value} with {other.currency.value}")

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor <= other.minor

    def __gt__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor > other.minor

    def __ge__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor >= other.minor

    def decimal(self) -> str:
        """The amount as plain digits with the currency's decimals: `1309477`, `12.50`."""
        sign, minor = ("-", -self.minor) if self.minor < 0 else ("", self.minor)
        if self.currency.exponent == 0:
            return f"{sign}{minor}"
        return f"{sign}{minor // 100}.{minor % 100:02d}"

    def display(self, language: str = "en") -> str:
        """The amount as people read it: `1,309,477 KHR`, `12.50 USD`; Khmer digits in Khmer."""
        whole, _, fraction = self.decimal().partition(".")
        text = f"{int(whole):,}" if whole != "-0" else "-0"
        if fraction:
            text = f"{text}.{fraction}"
        if language == "km":
            unit = "រៀល" if self.currency is Currency.KHR else "ដុល្លារ"
            return f"{text.translate(_KHMER_DIGITS)} {unit}"
        return f"{text} {self.currency.value}"


def split(total: Money, parts: int) -> list[Money]:
    """Divide into `parts` amounts that differ by at most one minor unit and sum to `total`."""
    if parts < 1:
        raise ValueError("parts must be at least 1")
    share, rest = divmod(total.minor, parts)
    return [Money(share + (1 if i < rest else 0), total.currency) for i in range(parts)]
