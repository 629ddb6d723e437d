"""The bank clerks' door: pairing, the funnel, freezing; books, limits, fees; a person's data."""

from typing import Any, Final

from api.bank import books, funnel, pairings, people, terms
from api.security import staff_door
from wallet.access.staff import StaffKind

HANDLERS: Final[list[Any]] = [
    *funnel.HANDLERS,
    *pairings.HANDLERS,
    *terms.HANDLERS,
    *books.HANDLERS,
    *people.HANDLERS,
]
"""Beside signing in and out, which every staff door has."""

router = staff_door(StaffKind.BANK_CLERK, "/v1/bank", HANDLERS)
