"""Who works in the demo: officers, clerks, support staff and ATM hosts, with fresh secrets.

Promise: every secret is random, made on this machine, and kept in two files of the data folder
that only their owner may read; no secret of a demo is the same on two machines or in this
repository. A file is written before the database learns of what is in it, so that no run, however
it ends, leaves accounts whose secrets are lost. Who calls: seed, demo.
"""

import asyncio
import base64
import secrets
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from runtime import cambodia
from runtime.children import CannotStart
from runtime.private_file import read_or_make
from simulators.passkey import Authenticator
from wallet.access import atm_hosts, machines, passkeys, staff, totp
from wallet.access.hashing import Hashing
from wallet.access.machines import Algorithm
from wallet.access.members import Role, StaffKind
from wallet.identifiers import AgencyId, BankId, Secret
from wallet.outcomes import Reason, Refused
from wallet.registry import banks
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

LOGINS_FILE: Final = "demo-logins.json"
ATM_KEYS_FILE: Final = "demo-atm-keys.json"
HASHED_AT_ONCE: Final = 4
_PLACES: Final = ("Preah Norodom Blvd, Phnom Penh", "Street 2, Battambang")


class SecretsLostError(CannotStart):
    """The database was seeded, and the file with its secrets is not there. Says which, and what
    to do."""


class Login(Struct, frozen=True, kw_only=True):
    """One member of the demo's staff, secrets and all."""

    door: StaffKind
    login: str
    passphrase: str
    totp_secret: str
    name: str
    roles: list[Role]
    bank: BankId | None = None
    agency: AgencyId | None = None
    passkey: str | None = None
    """The private key of their passkey, in hexadecimal, for roles that ask for one."""
    passkey_ticket: str | None = None
    """What lets them register it, once."""

    def __repr__(self) -> str:
        return f"Login({self.login}, ***)"


class Terminal(Struct, frozen=True, kw_only=True):
    """One machine, and the name of its place as holders read it."""

    id: str
    place: str


class AtmKey(Struct, frozen=True, kw_only=True):
    """One bank's ATM host: Ed25519, both halves raw in base64url, and its terminals."""

    bank: BankId
    keyid: str
    private_key: str
    public_key: str
    terminals: list[Terminal]

    def __repr__(self) -> str:
        return f"AtmKey({self.keyid}, ***)"


def logins(data: Path) -> list[Login]:
    """The demo's staff as the seed wrote them down; made now if it has not."""
    return read_or_make(data / LOGINS_FILE, list[Login], _new_logins)[0]


def atm_keys(data: Path) -> list[AtmKey]:
    """The demo's ATM hosts as the seed wrote them down; made now if it has not."""
    return read_or_make(data / ATM_KEYS_FILE, list[AtmKey], _new_atm_keys)[0]


async def enrol_staff(works: Works, vault: Vault, hashing: Hashing, data: Path) -> Path:
    """Take everybody on whom the file names; those already there stay as they are.

    Raises SecretsLostError when they are there and the file with their secrets was not.
    """
    path = data / LOGINS_FILE
    everybody, made = read_or_make(path, list[Login], _new_logins)
    names = [login.login for login in everybody]
    taken = await works.read(SYSTEM, None, lambda work: staff.logins_taken(work, names))
    if made and taken:
        path.unlink()
        raise SecretsLostError(_lost(path))
    if any(_approves(one.roles) and one.passkey is None for one in everybody):
        raise SecretsLostError(
            f"{path} is of an earlier version, whose staff had no passkeys: begin with a new "
            "database and data folder"
        )
    gate = asyncio.Semaphore(HASHED_AT_ONCE)

    async def enrol(login: Login) -> None:
        async with gate:
            await _enrol(works, vault, hashing, login)

    await asyncio.gather(*(enrol(login) for login in everybody if login.login not in taken))
    await works.perform(SYSTEM, None, partial(_give_tickets, everybody=everybody))
    return path


async def _give_tickets(work: Work, *, everybody: Sequence[Login]) -> None:
    """So that who has registered no passkey yet can, with the ticket the file holds."""
    for login in everybody:
        if login.passkey_ticket is not None:
            staff_id = await staff.id_of(work, login.login)
            if not await passkeys.may_begin(work, staff_id):
                await passkeys.give_ticket(work, staff_id, Secret(login.passkey_ticket))


async def register_atm_hosts(works: Works, vault: Vault, data: Path) -> Path:
    """Make the banks' ATM hosts known, with their terminals; a known key stays as it is.

    Raises SecretsLostError when a bank has another key than the file says.
    """
    for host in atm_keys(data):
        known = await machines.key_named(works, vault, host.keyid, host.terminals[0].id)
        if known is None:
            await works.perform(SYSTEM, host.bank, partial(_add_host, vault=vault, host=host))
        elif known.key.reveal() != _raw(host.public_key):
            (data / ATM_KEYS_FILE).unlink()
            raise SecretsLostError(_lost(data / ATM_KEYS_FILE))
    return data / ATM_KEYS_FILE


async def _add_host(work: Work, *, vault: Vault, host: AtmKey) -> None:
    await machines.add_key(
        work,
        vault,
        machine=machines.atm_host(host.bank),
        keyid=host.keyid,
        algorithm=Algorithm.ED25519,
        key=Secret(_raw(host.public_key)),
    )
    terminals = [terminal.id for terminal in host.terminals]
    places = [terminal.place for terminal in host.terminals]
    await atm_hosts.list_terminals(work, host.bank, terminals, places)


def _lost(path: Path) -> str:
    return (
        f"this database was seeded with secrets that stood in {path}, which is gone: put the "
        "file back, or begin with a new database and data folder"
    )


async def _enrol(works: Works, vault: Vault, hashing: Hashing, login: Login) -> None:
    try:
        await staff.enrol(
            works,
            vault,
            hashing,
            kind=login.door,
            login=login.login,
            name=login.name,
            passphrase=Secret(login.passphrase),
            roles=frozenset(login.roles),
            bank=login.bank,
            agency=login.agency,
            totp_secret=login.totp_secret,
        )
    except Refused as refused:
        # Another process seeds at the same time, from the same file.
        if refused.reason is not Reason.CONFLICT:
            raise


def _new_logins() -> list[Login]:
    officer, clerk, support = StaffKind.AGENCY_OFFICER, StaffKind.BANK_CLERK, StaffKind.SUPPORT
    clerk_roles = [Role.MAKER, Role.CHECKER]
    supervisor_roles = [Role.AGENT, Role.SUPERVISOR, Role.MAKER, Role.CHECKER]
    wanted: list[tuple[StaffKind, str, Sequence[Role], str | None]] = []
    for agency in cambodia.AGENCIES:
        code = agency.id.lower()
        wanted.append((officer, f"{code}.maker", [Role.MAKER], agency.id))
        wanted.append((officer, f"{code}.checker", [Role.CHECKER], agency.id))
    for bank in banks.PROGRAMME:
        for number in (1, 2):
            wanted.append((clerk, f"{bank.id.lower()}.clerk{number}", clerk_roles, bank.id))
    wanted.append((support, "support.agent", [Role.AGENT, Role.MAKER], None))
    for number in (1, 2):
        wanted.append((StaffKind.ADMIN, f"admin{number}", [Role.ADMIN], None))
    for number in (1, 2):
        wanted.append((support, f"support.supervisor{number}", supervisor_roles, None))
    return [
        _new_login(place, door, login, roles, house)
        for place, (door, login, roles, house) in enumerate(wanted)
    ]


def _new_login(
    place: int, door: StaffKind, login: str, roles: Sequence[Role], house: str | None
) -> Login:
    # Far behind the applicants in the list of invented people, so that nobody has two jobs.
    person = cambodia.person(50_000 + place, AgencyId("MCS"), has_card=False)
    approves = _approves(roles)
    return Login(
        door=door,
        login=login,
        passphrase=new_passphrase(),
        totp_secret=totp.new_secret(),
        name=person.name_latin.title(),
        roles=list(roles),
        bank=BankId(house) if house and door is StaffKind.BANK_CLERK else None,
        agency=AgencyId(house) if house and door is StaffKind.AGENCY_OFFICER else None,
        passkey=f"{Authenticator.new_private_key():064x}" if approves else None,
        passkey_ticket=secrets.token_urlsafe(24) if approves else None,
    )


def _approves(roles: Sequence[Role]) -> bool:
    return not {Role.CHECKER, Role.SUPERVISOR, Role.ADMIN}.isdisjoint(roles)


def new_passphrase() -> str:
    """Four speakable words of three syllables: 12 x log2(85) = 76 bits of chance."""
    return "-".join("".join(secrets.choice(_SYLLABLES) for _ in range(3)) for _ in range(4))


_SYLLABLES: Final = [c + v for c in "bcdfghjklmnprstvz" for v in "aeiou"]


def _new_atm_keys() -> list[AtmKey]:
    return [_new_atm_key(bank.id) for bank in banks.PROGRAMME]


def _new_atm_key(bank: BankId) -> AtmKey:
    private = Ed25519PrivateKey.generate()
    return AtmKey(
        bank=bank,
        keyid=f"{bank.lower()}-atm-1",
        private_key=_text(private.private_bytes_raw()),
        public_key=_text(private.public_key().public_bytes_raw()),
        terminals=[
            Terminal(id=f"{bank[:3]}{number:05d}", place=f"{banks.named(bank).name_en}, {place}")
            for number, place in enumerate(_PLACES, 1)
        ],
    )


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
