"""The door of bank clerks: pairing at the branch, the funnel, freezing; limits, fees and rates."""

from typing import Any, Final

from api.bank import funnel, pairings, terms
from api.security import staff_door
from wallet.access.staff import StaffKind

HANDLERS: Final[list[Any]] = [*funnel.HANDLERS, *pairings.HANDLERS, *terms.HANDLERS]
"""Beside signing in and out, which every staff door has."""

router = staff_door(StaffKind.BANK_CLERK, "/v1/bank", HANDLERS)
