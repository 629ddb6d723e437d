"""The door of support agents: cases, refunds, and what is shown for a reason."""

from typing import Any, Final

from api.security import staff_door
from api.support import (
    atm_cases,
    cards,
    disputes,
    emergency,
    purchase_cases,
    purchases,
    refunds,
    search,
)
from wallet.access.members import StaffKind

HANDLERS: Final[list[Any]] = [
    *search.HANDLERS,
    *purchases.HANDLERS,
    *purchase_cases.HANDLERS,
    *cards.HANDLERS,
    *atm_cases.HANDLERS,
    *disputes.HANDLERS,
    *refunds.HANDLERS,
    *emergency.HANDLERS,
]
"""Beside signing in and out, which every staff door has."""

router = staff_door(StaffKind.SUPPORT, "/v1/support", HANDLERS)
