"""The door of support agents: cases and refunds."""

from typing import Any, Final

from api.security import staff_door
from wallet.access.staff import StaffKind

HANDLERS: Final[list[Any]] = []
"""Beside signing in and out, which every staff door has."""

router = staff_door(StaffKind.SUPPORT, "/v1/support", HANDLERS)
