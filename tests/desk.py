"""Staff for tests: people who can sign in, and the desk they do it at."""

from collections.abc import AsyncIterator, Iterator

import pytest
from msgspec import Struct
from redis.asyncio import Redis

from api.resources import RATES, Rate
from simulators.passkey import Authenticator
from tests import world
from wallet.access import passkeys, staff, staff_sessions, totp
from wallet.access.hashing import Hashing
from wallet.access.members import Member, Role, StaffKind, member_of
from wallet.access.passkeys import Site
from wallet.access.staff import Enrolled, SignInTry
from wallet.access.staff_sessions import SignedIn
from wallet.identifiers import AgencyId, BankId, Secret
from wallet.throttle import Throttle, connect
from wallet.vault import Vault
from wallet.work import SYSTEM, Works

PASSPHRASE = "the mekong turns around in november"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
HOST = "wallet.smartid.test"
TICKET = "handed over in person"
SITE = Site(host=HOST, origin=f"https://{HOST}")
COOKIE = "__Host-smartid-staff"


UNHURRIED = {name: Rate(1_000_000, 60_000_000) for name in RATES}
"""Rates for tests in which people act faster than people do."""


def lone_throttle() -> Throttle:
    """Where there is no Redis: limits by this process alone, no codes."""
    return Throttle(connect("redis://127.0.0.1:1/0"))


class Person(Struct, frozen=True, kw_only=True):
    kind: StaffKind
    roles: frozenset[str]
    bank: BankId | None = None
    agency: AgencyId | None = None


_OFFICER, _CLERK = StaffKind.AGENCY_OFFICER, StaffKind.BANK_CLERK
_MCS, _MOEYS = AgencyId("MCS"), AgencyId("MOEYS")
_ADMIN = frozenset({Role.ADMIN})
_ACLEDA, _WING = BankId("ACLEDA"), BankId("WING")
_MAKER, _CHECKER = frozenset({Role.MAKER}), frozenset({Role.CHECKER})
_BOTH = _MAKER | _CHECKER
_TRAINEE = frozenset({"trainee"})
"""A role that allows nothing; it is not there until somebody adds it to `staff_roles`."""

EVERYONE = {
    "dara": Person(kind=StaffKind.SUPPORT, roles=frozenset({Role.AGENT})),
    "bopha": Person(kind=StaffKind.SUPPORT, roles=frozenset({Role.AGENT, Role.SUPERVISOR})),
    "vanna": Person(kind=StaffKind.SUPPORT, roles=frozenset({Role.AGENT, Role.SUPERVISOR})),
    "admin.one": Person(kind=StaffKind.ADMIN, roles=_ADMIN),
    "admin.two": Person(kind=StaffKind.ADMIN, roles=_ADMIN),
    "admin.three": Person(kind=StaffKind.ADMIN, roles=_ADMIN),
    "maker.mcs": Person(kind=_OFFICER, roles=_MAKER, agency=_MCS),
    "checker.mcs": Person(kind=_OFFICER, roles=_CHECKER, agency=_MCS),
    "both.mcs": Person(kind=_OFFICER, roles=_BOTH, agency=_MCS),
    "checker.moeys": Person(kind=_OFFICER, roles=_CHECKER, agency=_MOEYS),
    "maker.acleda": Person(kind=_CLERK, roles=_BOTH, bank=_ACLEDA),
    "second.acleda": Person(kind=_CLERK, roles=_BOTH, bank=_ACLEDA),
    "checker.acleda": Person(kind=_CLERK, roles=_CHECKER, bank=_ACLEDA),
    "checker.wing": Person(kind=_CLERK, roles=_CHECKER, bank=_WING),
    "trainee.support": Person(kind=StaffKind.SUPPORT, roles=_TRAINEE),
    "trainee.admin": Person(kind=StaffKind.ADMIN, roles=_TRAINEE),
    "trainee.mcs": Person(kind=_OFFICER, roles=_TRAINEE, agency=_MCS),
    "trainee.acleda": Person(kind=_CLERK, roles=_TRAINEE, bank=_ACLEDA),
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
        self.authenticators: dict[str, Authenticator] = {}
        self._members: dict[str, Member] = {}

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
        staff_id = self.people[login].id
        self._members[login] = await self.works.read(
            SYSTEM, None, lambda work: member_of(work, staff_id)
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
        return self._members[login]

    async def session(self, login: str) -> dict[str, str]:
        """The headers of a fresh session of somebody enrolled, in which their passkey was shown
        where their roles ask for one; it is registered the first time."""
        signed_in = await self.sign_in(login)
        if signed_in.member.needs_passkey:
            signed_in = await self.show_passkey(login, signed_in.token.reveal())
        return self.headers(signed_in.token.reveal())

    def headers(self, token: str) -> dict[str, str]:
        """What a browser with this session sends."""
        csrf = staff_sessions.csrf_token(self.vault, token)
        return {"cookie": f"{COOKIE}={token}", "x-csrf-token": csrf}

    async def show_passkey(self, login: str, token: str) -> SignedIn:
        """Show somebody's passkey in the session of this token; a first one is registered."""
        member = self.member(login)
        if login in self.authenticators:
            options = await passkeys.begin_proof(self.works, SITE, member, token)
            credential = self.authenticators[login].get(options)
            shown = await passkeys.prove(self.works, SITE, member, token, credential)
        else:
            self.authenticators[login] = Authenticator(HOST)
            await self.give_ticket(login)
            options = await passkeys.begin_registration(self.works, SITE, member, token)
            shown = await passkeys.register(
                self.works,
                SITE,
                member,
                token,
                credential=self.authenticators[login].create(options),
                name="Test",
                ticket=Secret(TICKET),
            )
        assert isinstance(shown, SignedIn), shown
        return shown

    async def give_ticket(self, login: str) -> None:
        """As the operator does, but without ending the session."""
        staff_id = self.people[login].id
        await self.works.perform(
            SYSTEM, None, lambda work: passkeys.give_ticket(work, staff_id, Secret(TICKET))
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
