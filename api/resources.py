"""What the doors work with, handed in by whoever wires the process.

Promise: a plain bag; it opens nothing and decides nothing. Who calls: runtime (making it),
handlers (through the `resources` dependency).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from wallet.access.hashing import Hashing
from wallet.authorisations.habits import StepUp
from wallet.authorisations.serving import Network
from wallet.cards import CardRules, Issuing
from wallet.clock import Clock
from wallet.database import Database
from wallet.identifiers import BankId
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import Works


@dataclass(frozen=True, slots=True)
class Policy:
    """The figures an operator may set; defaults are those of the design."""

    claim_ttl_s: int = 600
    card_iins: Mapping[str, str] = field(default_factory=dict)
    """What a bank's virtual card numbers begin with, where it is not its own range."""
    simulation: bool = False
    """Whether the imagined card network's door is there; never in production."""
    step_up: StepUp = field(default_factory=StepUp)
    """Which purchases are out of pattern."""
    four_eyes_above_khr: int = 400_000
    four_eyes_above_usd_cents: int = 10_000
    host: str = "wallet.smartid.test"
    """The host name that phones and ATM hosts sign for."""
    stream_heartbeat_s: float = 15.0
    stream_life_s: float = 240.0
    """Shorter than a session may idle, so that each return looks at it afresh."""


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

    @property
    def issuing(self) -> Issuing:
        """What the cards room needs, by this process's policy."""
        rules = CardRules(
            claim_lifetime=timedelta(seconds=self.policy.claim_ttl_s),
            claim_link=f"https://{self.policy.host}/claim/",
            iins={BankId(bank): iin for bank, iin in self.policy.card_iins.items()},
        )
        return Issuing(vault=self.vault, rules=rules)

    @property
    def network(self) -> Network:
        """What deciding on purchases needs, by this process's policy."""
        return Network(issuing=self.issuing, step_up=self.policy.step_up)
