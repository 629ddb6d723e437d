"""The ATM door for tests: one bank's host with two terminals, one holder with a paired phone."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from simulators.atm import AtmHost
from tests.wallet.cards.counter import Counter, Person
from wallet.access import atm_hosts, machines
from wallet.access.machines import Algorithm
from wallet.access.sessions import HolderSession
from wallet.cards.rules import CardRules
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, HolderId, Secret
from wallet.work import SYSTEM, Work

ACLEDA = BankId("ACLEDA")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PLACE = "Phsar Thmei"


class _KnowsOne:
    """Stands in for sessions, which have tests of their own: every token is this person's."""

    def __init__(self, clock: TurnedClock, person: Person) -> None:
        self._clock = clock
        self.person = person

    def last_seen(self, token: str) -> HolderId | None:
        return None

    async def of(self, token: str, *, reading: bool = False) -> HolderSession:
        return HolderSession(
            token_hash=bytes(32),
            holder_id=self.person.holder.id,
            device_id=self.person.device_id,
            bank=self.person.holder.bank,
            language="en",
            last_seen_at=self._clock.now(),
            expires_at=self._clock.now() + timedelta(minutes=5),
            cooling=False,
        )


@pytest.fixture
def counter(resources: Resources, clock: TurnedClock) -> Counter:
    return Counter(resources.works, resources.vault, clock, CardRules())


@pytest.fixture
async def person(counter: Counter) -> Person:
    return await counter.person(khr=100_000)


@pytest.fixture
async def app(resources: Resources, person: Person, clock: TurnedClock) -> Litestar:
    async def furnish(work: Work) -> None:
        await machines.add_key(
            work,
            resources.vault,
            machine=machines.atm_host(ACLEDA),
            keyid="acleda-1",
            algorithm=Algorithm.ED25519,
            key=Secret(KEY.public_key().public_bytes_raw()),
        )
        await atm_hosts.list_terminals(work, ACLEDA, ["ATM00001", "ATM00002"], [PLACE, "Olympic"])

    await resources.works.perform(SYSTEM, None, furnish)
    app = create_app(resources)
    app.state.recognition = _KnowsOne(clock, person)
    return app


@pytest.fixture
def phone(app: Litestar, dialled: Callable[[Litestar], httpx.AsyncClient]) -> httpx.AsyncClient:
    return dialled(app)


@pytest.fixture
def machine(phone: httpx.AsyncClient, resources: Resources) -> Callable[[str], AtmHost]:
    def at(terminal: str) -> AtmHost:
        return AtmHost(
            phone,
            keyid="acleda-1",
            key=KEY,
            terminal=terminal,
            wallet_key=machines.answer_key(resources.vault).public,
            clock=resources.clock.now,
            pause_s=0.0,
        )

    return at


@pytest.fixture
def host(machine: Callable[[str], AtmHost]) -> AtmHost:
    return machine("ATM00001")
