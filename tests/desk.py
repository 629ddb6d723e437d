"""Staff for tests: people who can sign in, and the desk they do it at."""

from collections.abc import AsyncIterator, Iterator

import pytest
from msgspec import Struct
from redis.asyncio import Redis

from api.resources import RATES, Rate
from tests import world
from wallet.access import staff, totp
from wallet.access.hashing import Hashing
from wallet.access.staff import Enrolled, Member, Role, SignedIn, SignInTry, StaffKind
from wallet.identifiers import AgencyId, BankId, Secret
from wallet.throttle import Throttle, connect
from wallet.vault import Vault
from wallet.work import Works

PASSPHRASE = "the mekong turns around in november"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


UNHURRIED = {name: Rate(1_000_000, 60_000_000) for name in RATES}
"""Rates for tests in which people act faster than people do."""


def lone_throttle() -> Throttle:
    """Where there is no Redis: limits by this process alone, no codes."""
    return Throttle(connect("redis://127.0.0.1:1/0"))


class Person(Struct, frozen=True, kw_only=True):
    kind: StaffKind
    roles: frozenset[Role]
    bank: BankId | None = None
    agency: AgencyId | None = None


_OFFICER, _CLERK = StaffKind.AGENCY_OFFICER, StaffKind.BANK_CLERK
_MCS, _MOEYS = AgencyId("MCS"), AgencyId("MOEYS")
_ACLEDA, _WING = BankId("ACLEDA"), BankId("WING")
_MAKER, _CHECKER = frozenset({Role.MAKER}), frozenset({Role.CHECKER})
_BOTH = _MAKER | _CHECKER

EVERYONE = {
    "dara": Person(kind=StaffKind.SUPPORT, roles=frozenset({Role.AGENT})),
    "bopha": Person(kind=StaffKind.SUPPORT, roles=frozenset({Role.AGENT, Role.SUPERVISOR})),
    "maker.mcs": Person(kind=_OFFICER, roles=_MAKER, agency=_MCS),
    "checker.mcs": Person(kind=_OFFICER, roles=_CHECKER, agency=_MCS),
    "both.mcs": Person(kind=_OFFICER, roles=_BOTH, agency=_MCS),
    "checker.moeys": Person(kind=_OFFICER, roles=_CHECKER, agency=_MOEYS),
    "maker.acleda": Person(kind=_CLERK, roles=_BOTH, bank=_ACLEDA),
    "checker.acleda": Person(kind=_CLERK, roles=_CHECKER, bank=_ACLEDA),
    "checker.wing": Person(kind=_CLERK, roles=_CHECKER, bank=_WING),
}


class Desk:
    """Where staff sign in. `people` is by login; everybody has the same passphrase and secret."""

    def __init__(
        self, works: Works, vault: Vault, hashing: Hashing, throttle: Throttle, redis: "Redis"
    ) -> None:
        self.works = works
        self.vault = vault
        self.hashing = hashing
        self.throttle = throttle
        self.redis = redis
        self.people: dict[str, Enrolled] = {}

    async def enrol(self, login: str) -> Enrolled:
        person = EVERYONE[login]
        self.people[login] = await staff.enrol(
            self.works,
            self.vault,
            self.hashing,
            kind=person.kind,
            login=login,
            name=login.title(),
            passphrase=Secret(PASSPHRASE),
            roles=person.roles,
            bank=person.bank,
            agency=person.agency,
            totp_secret=SECRET,
        )
        return self.people[login]

    def code(self) -> str:
        """What everybody's authenticator shows now."""
        return totp.code_at(SECRET, self.works.clock.now())

    async def sign_in(
        self,
        login: str,
        *,
        passphrase: str = PASSPHRASE,
        code: str | None = None,
        kind: StaffKind | None = None,
    ) -> SignedIn:
        tried = SignInTry(
            kind=kind or (EVERYONE[login].kind if login in EVERYONE else StaffKind.SUPPORT),
            login=login,
            passphrase=Secret(passphrase),
            code=Secret(self.code() if code is None else code),
        )
        return await staff.sign_in(self.works, self.vault, self.hashing, self.throttle, tried)

    def member(self, login: str) -> Member:
        """Somebody enrolled, as their session would name them."""
        person = EVERYONE[login]
        return Member(
            id=self.people[login].id,
            kind=person.kind,
            name=login.title(),
            roles=person.roles,
            bank=person.bank,
            agency=person.agency,
        )


@pytest.fixture(scope="session")
def hashing() -> Iterator[Hashing]:
    opened = Hashing()
    yield opened
    opened.close()


@pytest.fixture
async def throttle(redis: "Redis", servers: "object") -> AsyncIterator[Throttle]:
    client = connect(servers.redis_url)  # type: ignore[attr-defined]
    yield Throttle(client)
    await client.aclose()


@pytest.fixture
async def desk(
    works: Works, vault: Vault, hashing: Hashing, throttle: Throttle, redis: "Redis"
) -> Desk:
    await world.establish(works)
    return Desk(works, vault, hashing, throttle, redis)
