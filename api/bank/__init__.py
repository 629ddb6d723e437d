"""The bank clerks' door: pairing at the branch, the funnel, freezing; books, limits, fees,
controls."""

from typing import Any, Final

from api.bank import books, controls, funnel, pairings, terms
from api.security import staff_door
from wallet.access.staff import StaffKind

HANDLERS: Final[list[Any]] = [
    *funnel.HANDLERS,
    *pairings.HANDLERS,
    *terms.HANDLERS,
    *books.HANDLERS,
    *controls.HANDLERS,
]
"""Beside signing in and out, which every staff door has."""

router = staff_door(StaffKind.BANK_CLERK, "/v1/bank", HANDLERS)
