"""The admins' door: who works here, and who may do what.

Promise: an admin handles staff and nothing else: no holder, no money, no case is seen through this
door. Changes of roles need two admins; letting somebody go needs one, so that it is quick.
"""

from typing import Any, Final

from api.admin import people
from api.security import staff_door
from wallet.access.members import StaffKind

HANDLERS: Final[list[Any]] = [*people.HANDLERS]
"""Beside signing in and out, which every staff door has."""

router = staff_door(StaffKind.ADMIN, "/v1/admin", HANDLERS)
