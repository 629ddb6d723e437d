"""The door of support agents: cases and refunds."""

from typing import Any, Final

from api.security import staff_door
from api.support import disputes, purchases, refunds, search
from wallet.access.staff import StaffKind

HANDLERS: Final[list[Any]] = [
    *search.HANDLERS,
    *purchases.HANDLERS,
    *disputes.HANDLERS,
    *refunds.HANDLERS,
]
"""Beside signing in and out, which every staff door has."""

router = staff_door(StaffKind.SUPPORT, "/v1/support", HANDLERS)
