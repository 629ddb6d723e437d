"""What the doors work with, handed in by whoever wires the process.

Promise: a plain bag; it opens nothing and decides nothing. Who calls: runtime (making it),
handlers (through the `resources` dependency).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple

from wallet.access.hashing import Hashing
from wallet.access.numbers import Directory
from wallet.access.policy import StepUp, shipped
from wallet.authorisations.habits import StepUp as Pattern
from wallet.authorisations.serving import Network
from wallet.cards import CardRules, Issuing
from wallet.clock import Clock
from wallet.database import Database
from wallet.identifiers import BankId
from wallet.registry import holders
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import Works


class Rate(NamedTuple):
    """So many at once, and so many a minute on the whole."""

    burst: int
    per_minute: float


RATES: Final[Mapping[str, Rate]] = {
    "read.person": Rate(120, 600),
    "write.person": Rate(60, 120),
    "staff.person": Rate(120, 600),
    "freeze.person": Rate(30, 1),
    "machine.terminal": Rate(60, 300),
    "machine.house": Rate(1_000, 30_000),
    "open.address": Rate(600, 3_000),
    "failed.address": Rate(3_000, 6_000),
}
"""How often who may ask, by class of route and caller: see `api.throttling`. Behind one address of
a mobile operator there are thousands of phones; thirty freezes are more than a day's calls bring
to one clerk, and less than harm needs."""


SLOW_AFTER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Policy:
    """The figures an operator may set; defaults are those of the design."""

    claim_ttl_s: int = 600
    card_iins: Mapping[str, str] = field(default_factory=dict)
    """What a bank's virtual card numbers begin with, where it is not its own range."""
    atm_serves_other_banks: bool = False
    """Whether one bank's ATM serves another bank's Smart ID."""
    simulation: bool = False
    """Whether the imagined card network's door is there; never in production."""
    pattern: Pattern = field(default_factory=Pattern)
    """Which purchases are out of pattern."""
    four_eyes_above_khr: int = 400_000
    four_eyes_above_usd_cents: int = 10_000
    step_up: StepUp = field(default_factory=shipped)
    """What each act needs besides the phone's signature."""
    host: str = "wallet.smartid.test"
    """The host name that phones and ATM hosts sign for."""
    stream_heartbeat_s: float = 15.0
    stream_life_s: float = 240.0
    """Shorter than a session may idle, so that each return looks at it afresh."""
    rates: Mapping[str, Rate] = field(default_factory=lambda: RATES)
    proxies: tuple[str, ...] = ()
    """Networks whose proxies may tell a caller's address and certificate: nobody, unless listed."""
    certificates_required: bool = False
    """Whether machines must come with a client certificate even where none is listed."""
    slow_after_s: float = SLOW_AFTER_S
    """A request that has not come whole by then is given up."""


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

    @property
    def issuing(self) -> Issuing:
        """What the cards room needs, by this process's policy."""
        rules = CardRules(
            claim_lifetime=timedelta(seconds=self.policy.claim_ttl_s),
            claim_link=f"https://{self.policy.host}/claim/",
            serves_other_banks=self.policy.atm_serves_other_banks,
            iins={BankId(bank): iin for bank, iin in self.policy.card_iins.items()},
        )
        return Issuing(vault=self.vault, rules=rules)

    @property
    def network(self) -> Network:
        """What deciding on purchases needs, by this process's policy."""
        return Network(issuing=self.issuing, step_up=self.policy.pattern)
