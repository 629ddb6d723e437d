"""The door of agency officers: payroll, applications of their own agency."""

from typing import Any, Final

from api.agency import funnel, leaving, salary_files
from api.security import house_machines, staff_door
from wallet.access.machines import MachineKind
from wallet.access.members import StaffKind

HANDLERS: Final[list[Any]] = [
    *funnel.HANDLERS,
    *leaving.HANDLERS,
    *salary_files.HANDLERS,
]
"""Beside signing in and out, which every staff door has."""

router = staff_door(
    StaffKind.AGENCY_OFFICER,
    "/v1/agency",
    HANDLERS,
    machines=house_machines(MachineKind.AGENCY),
)
