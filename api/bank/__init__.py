"""The bank clerks' door: pairing at the branch, the funnel, freezing; books, limits, fees."""

from typing import Any, Final

from api.bank import books, funnel, pairings, phones, terms
from api.security import staff_door
from wallet.access.staff import StaffKind

HANDLERS: Final[list[Any]] = [
    *funnel.HANDLERS,
    *pairings.HANDLERS,
    *phones.HANDLERS,
    *terms.HANDLERS,
    *books.HANDLERS,
]
"""Beside signing in and out, which every staff door has."""

router = staff_door(StaffKind.BANK_CLERK, "/v1/bank", HANDLERS)
