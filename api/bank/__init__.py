"""The bank clerks' door: pairing at the branch, the funnel, freezing; books, limits, fees,
controls; a person's data."""

from typing import Any, Final

from api.bank import books, controls, funnel, operations, pairings, people, phones, terms
from api.security import house_machines, staff_door
from wallet.access.machines import MachineKind
from wallet.access.members import StaffKind

HANDLERS: Final[list[Any]] = [
    *funnel.HANDLERS,
    *pairings.HANDLERS,
    *phones.HANDLERS,
    *terms.HANDLERS,
    *books.HANDLERS,
    *operations.HANDLERS,
    *controls.HANDLERS,
    *people.HANDLERS,
]
"""Beside signing in and out, which every staff door has."""

router = staff_door(
    StaffKind.BANK_CLERK, "/v1/bank", HANDLERS, machines=house_machines(MachineKind.BANK)
)
