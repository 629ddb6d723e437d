"""Typed identifiers, check digits, masking, and the wrapper that keeps secrets out of prints.

Promise: an id says what it names; ids sort by creation time (UUID version 7, RFC 9562 5.7); a
`Secret` never shows itself. Who calls: everyone.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, NewType, TypeVar
from uuid import NAMESPACE_OID, UUID

from uuid_utils.compat import uuid5, uuid7

BankId = NewType("BankId", str)
AgencyId = NewType("AgencyId", str)
AccountId = NewType("AccountId", int)
HolderId = NewType("HolderId", UUID)
TransferId = NewType("TransferId", UUID)
IntentId = NewType("IntentId", UUID)
DeviceId = NewType("DeviceId", UUID)
PairingId = NewType("PairingId", UUID)
CardId = NewType("CardId", UUID)
SmartIdId = NewType("SmartIdId", UUID)
TopupId = NewType("TopupId", UUID)
DisputeId = NewType("DisputeId", UUID)
RefundId = NewType("RefundId", UUID)
SalaryRunId = NewType("SalaryRunId", UUID)
StaffId = NewType("StaffId", UUID)
ApprovalId = NewType("ApprovalId", UUID)

T = TypeVar("T")
_DIGITS: Final = re.compile(r"[0-9]+")


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()


def first_id_at(moment: datetime) -> UUID:
    """Less than every id made in this millisecond or later, greater than those made before."""
    return UUID(int=((moment - _EPOCH) // timedelta(milliseconds=1)) << 80)


SKEW: Final = timedelta(hours=1)
"""How far the clock that makes ids may be behind the database's: what looks for old rows by their
id looks so much further and then at their own moment."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def derived_id(parent: UUID, part: str) -> UUID:
    """The one id that `part` of `parent` always has: repeats of the same act find themselves."""
    return uuid5(NAMESPACE_OID, f"{parent}:{part}")


def luhn_digit(digits: str) -> str:
    """The check digit that makes `digits` + it pass ISO/IEC 7812-1 Annex B (Luhn)."""
    if not _DIGITS.fullmatch(digits):
        raise ValueError("luhn_digit takes ASCII digits")
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def luhn_valid(text: str) -> bool:
    """Whether `text` is ASCII digits whose last one is the Luhn digit of the rest."""
    return bool(_DIGITS.fullmatch(text)) and len(text) > 1 and luhn_digit(text[:-1]) == text[-1]


def last_four(number: str) -> str:
    return number[-4:]


def masked(number: str) -> str:
    """A number as staff and slips may see it: dots and the last four characters."""
    return f"•••• {number[-4:]}"


class Secret(Generic[T]):
    """Holds a value that no print, log, repr or comparison shows; `reveal()` is the one way."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Secret is not pickled")
