"""What the doors work with, handed in by whoever wires the process.

Promise: a plain bag; it opens nothing and decides nothing. Who calls: runtime (making it),
handlers (through the `resources` dependency).
"""

from dataclasses import dataclass, field
from typing import Any, Final

from wallet.access.hashing import Hashing
from wallet.access.numbers import Directory
from wallet.access.policy import StepUp, shipped
from wallet.clock import Clock
from wallet.database import Database
from wallet.registry import holders
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import Works


@dataclass(frozen=True, slots=True)
class Policy:
    """The figures an operator may set; defaults are those of the design."""

    claim_ttl_s: int = 600
    four_eyes_above_khr: int = 400_000
    four_eyes_above_usd_cents: int = 10_000
    step_up: StepUp = field(default_factory=shipped)
    """What each act needs besides the phone's signature."""
    host: str = "wallet.smartid.test"
    """The host name that phones and ATM hosts sign for."""
    stream_heartbeat_s: float = 15.0
    stream_life_s: float = 240.0
    """Shorter than a session may idle, so that each return looks at it afresh."""


_REGISTER: Final = Directory(
    of=holders.phone, put=holders.set_phones, well_formed=holders.is_number
)


@dataclass(frozen=True, slots=True)
class Resources:
    database: Database
    redis: Any
    works: Works
    teller: Teller
    clock: Clock
    vault: Vault
    throttle: Throttle
    policy: Policy = field(default_factory=Policy)
    hashing: Hashing = field(default_factory=Hashing)
    directory: Directory = _REGISTER
    """Where holders' telephone numbers lie, for the room that changes them."""
