"""Who is calling: guards that name the caller, closed by default.

Promise: behind a door every handler is guarded; only one that says `opt=ANONYMOUS` is open. A
handler asks for `caller` and gets who the guard named: `HolderCaller`, `StaffCaller`, `AtmCaller`,
`MachineCaller`, all with an `actor`. Who calls: the packages of the doors, the application frame.
"""

from api.security.callers import (
    ANONYMOUS,
    LOOKING,
    READING,
    HolderCaller,
    StaffCaller,
    holder_door,
    idempotency_key,
    staff_door,
    with_permission,
)
from api.security.headers import securing
from api.security.signatures import (
    FOR_MACHINES,
    AtmCaller,
    HouseCaller,
    MachineCaller,
    atm_door,
    house_machines,
)

__all__ = [
    "ANONYMOUS",
    "FOR_MACHINES",
    "LOOKING",
    "READING",
    "AtmCaller",
    "HolderCaller",
    "HouseCaller",
    "MachineCaller",
    "StaffCaller",
    "atm_door",
    "holder_door",
    "house_machines",
    "idempotency_key",
    "securing",
    "staff_door",
    "with_permission",
]
