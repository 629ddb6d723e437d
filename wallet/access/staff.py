"""Staff: agency officers, bank clerks and support agents, who sign in with passphrase and code.

Promise: a code is good once (the newest accepted time step is in PostgreSQL and only grows); five
failures in a row lock for a while, longer each time, whatever Redis remembers; the answer and the
time it takes are the same whichever part was wrong; a token is 256 random bits of which only the
hash is kept; signing in ends the session before it.

Tables owned: staff, staff_sessions.

Session: open --15 min unused, 8 h old, signed out, signed in elsewhere--> gone

Who calls: the doors (sign in, recognise), approvals (the checker's second proof), seed (enrol).
"""

import enum
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from wallet.access import totp
from wallet.access.hashing import Hashing
from wallet.database import UniqueViolation
from wallet.identifiers import AgencyId, BankId, Secret, StaffId, new_id
from wallet.outcomes import Declined, Reason, Refused
from wallet.throttle import RetryAfter, Throttle
from wallet.vault import Vault
from wallet.work import SYSTEM, Actor, ActorKind, Work, Works

IDLE: Final = timedelta(minutes=15)
ABSOLUTE: Final = timedelta(hours=8)
FAILURES_TO_LOCK: Final = 5
FIRST_LOCK: Final = timedelta(minutes=15)
LONGEST_LOCK: Final = timedelta(hours=24)
SHORTEST_PASSPHRASE: Final = 15
LONGEST_PASSPHRASE: Final = 128
SIGN_INS_PER_MINUTE: Final = 10
ISSUER: Final = "Smart ID Wallet"


class StaffKind(enum.StrEnum):
    """What door a person may come through; each door takes one kind."""

    AGENCY_OFFICER = "agency_officer"
    BANK_CLERK = "bank_clerk"
    SUPPORT = "support"


class Role(enum.StrEnum):
    """What a person may do behind the door."""

    MAKER = "maker"
    CHECKER = "checker"
    AGENT = "agent"
    SUPERVISOR = "supervisor"


class Member(Struct, frozen=True, kw_only=True):
    """One of the staff, as recognised."""

    id: StaffId
    kind: StaffKind
    name: str
    roles: frozenset[Role]
    bank: BankId | None = None
    agency: AgencyId | None = None

    @property
    def actor(self) -> Actor:
        return Actor(
            kind=ActorKind(self.kind.value), id=str(self.id), bank=self.bank, agency=self.agency
        )


class SignedIn(Struct, frozen=True, kw_only=True):
    """A fresh session. The token is shown this once."""

    token: Secret[str]
    expires_at: datetime
    idle_after_s: int
    member: Member


class Enrolled(Struct, frozen=True, kw_only=True):
    """A new member, and what their authenticator app needs, shown this once."""

    id: StaffId
    totp_secret: Secret[str]
    otpauth_uri: Secret[str]


class SignInTry(Struct, frozen=True, kw_only=True):
    """What somebody claims to be and to know."""

    kind: StaffKind
    login: str
    passphrase: Secret[str]
    code: Secret[str]


async def enrol(
    works: Works,
    vault: Vault,
    hashing: Hashing,
    *,
    kind: StaffKind,
    login: str,
    name: str,
    passphrase: Secret[str],
    roles: frozenset[Role],
    bank: BankId | None = None,
    agency: AgencyId | None = None,
    totp_secret: str | None = None,
) -> Enrolled:
    """Take one person on: 15 to 128 characters of passphrase, a fresh authenticator secret unless
    one is given. Refuses: INVALID_REQUEST (field passphrase), CONFLICT (login taken)."""
    if not SHORTEST_PASSPHRASE <= len(passphrase.reveal()) <= LONGEST_PASSPHRASE:
        raise Refused(Reason.INVALID_REQUEST, field="passphrase")
    staff_id = StaffId(new_id())
    secret = totp_secret or totp.new_secret()
    encoded = await hashing.hash(_keyed(vault, passphrase))

    async def add(work: Work) -> None:
        sealed = await vault.seal(
            work, _SCOPE, "staff", "totp_sealed", staff_id, secret.encode("ascii")
        )
        arguments = (staff_id, kind, login, name, encoded, sealed, sorted(roles), bank, agency)
        try:
            await work.execute(_ADD, *arguments, work.now)
        except UniqueViolation:
            raise Refused(Reason.CONFLICT, field="login") from None
        work.note("staff.enrol", str(staff_id))

    await works.perform(SYSTEM, None, add)
    uri = totp.provisioning_uri(secret, account=login, issuer=ISSUER)
    return Enrolled(id=staff_id, totp_secret=Secret(secret), otpauth_uri=Secret(uri))


async def sign_in(
    works: Works, vault: Vault, hashing: Hashing, throttle: Throttle, tried: SignInTry
) -> SignedIn:
    """Open a session for passphrase and time code; a failure is counted and committed first.

    Refuses: SIGN_IN_FAILED (whatever was wrong: login, kind, passphrase, code, lock), RATE_LIMITED,
    BUSY.
    """
    bucket = "staff-sign-in:" + vault.blind_index("staff-login", tried.login).hex()
    admitted = await throttle.admit(bucket, SIGN_INS_PER_MINUTE, SIGN_INS_PER_MINUTE)
    if isinstance(admitted, RetryAfter):
        raise Refused(Reason.RATE_LIMITED, retry_after_s=admitted.seconds)

    async def look_up(work: Work) -> str | None:
        encoded: str | None = await work.value(_HASH_BY_LOGIN, tried.login, tried.kind)
        return encoded

    encoded = await works.read(_AT_THE_DOOR, None, look_up)
    right = await hashing.matches(encoded, _keyed(vault, tried.passphrase))
    token = Secret(secrets.token_urlsafe(32))

    async def decide(work: Work) -> SignedIn | None:
        account = await work.struct(_Account, _LOCK_BY_LOGIN, tried.login, tried.kind)
        same_hash = account is not None and account.passphrase_hash == encoded
        proven = await _prove(work, vault, account, tried.code, also=right and same_hash)
        if account is None or not proven:
            work.note("staff.sign_in_failed", "unknown" if account is None else str(account.id))
            return None
        return await _open_session(work, account, token)

    signed_in = await works.perform(_AT_THE_DOOR, None, decide)
    if signed_in is None:
        raise Refused(Reason.SIGN_IN_FAILED)
    return signed_in


async def recognise(works: Works, kind: StaffKind, token: str) -> Member:
    """Who holds this token, at the door for `kind`; using a session keeps it from idling out.

    Refuses: UNAUTHENTICATED.
    """

    async def touch(work: Work) -> Member | None:
        return await work.struct(
            Member, _TOUCH, _token_hash(token), kind, work.now, work.now - IDLE
        )

    member = await works.perform(_AT_THE_DOOR, None, touch)
    if member is None:
        raise Refused(Reason.UNAUTHENTICATED)
    return member


async def sign_out(works: Works, member: Member) -> None:
    """End the member's session, everywhere and at once. Refuses: nothing."""

    async def end(work: Work) -> None:
        await work.execute(_END, member.id)
        work.note("staff.sign_out", str(member.id))

    await works.perform(member.actor, None, end)


async def disable(work: Work, staff_id: StaffId) -> None:
    """Let a person in no more, from this moment. Refuses: NOT_FOUND."""
    if await work.execute(_DISABLE, staff_id, work.now) != "UPDATE 1":
        raise Refused(Reason.NOT_FOUND)
    await work.execute(_END, staff_id)
    work.note("staff.disable", str(staff_id))


async def member_of(work: Work, staff_id: StaffId) -> Member:
    """The member with this id, if still on the staff. Refuses: NOT_FOUND."""
    member = await work.struct(Member, _MEMBER, staff_id)
    if member is None:
        raise Refused(Reason.NOT_FOUND)
    return member


async def logins_taken(work: Work, logins: Sequence[str]) -> set[str]:
    """Those of these logins that somebody has, disabled or not."""
    return {row["login"] for row in await work.rows(_TAKEN, list(logins))}


async def step_up(
    work: Work, vault: Vault, staff_id: StaffId, code: Secret[str]
) -> Declined | None:
    """Ask a signed-in member for a fresh time code within `work`; None when it is right.

    A wrong one counts towards the same lock as signing in, so the caller must return the Declined
    and let the Work commit. Refuses: NOT_FOUND.
    """
    account = await work.struct(_Account, _LOCK_BY_ID, staff_id)
    if account is None:
        raise Refused(Reason.NOT_FOUND)
    if _is_locked(account, work.now):
        return Declined(reason=Reason.LOCKED)
    if await _prove(work, vault, account, code, also=True):
        return None
    work.note("staff.step_up_failed", str(staff_id))
    left = -(account.failures + 1) % FAILURES_TO_LOCK
    return Declined(reason=Reason.OTP_WRONG, facts={"tries_left": left})


_TAKEN: Final = "select login from staff where login = any($1::text[])"


class _Account(Struct, frozen=True, kw_only=True):
    id: StaffId
    kind: StaffKind
    name: str
    roles: frozenset[Role]
    bank: BankId | None
    agency: AgencyId | None
    passphrase_hash: str
    totp_sealed: bytes
    last_step: int
    failures: int
    locked_until: datetime | None
    disabled_at: datetime | None


async def _prove(
    work: Work, vault: Vault, account: _Account | None, code: Secret[str], *, also: bool
) -> bool:
    """Check a code on a locked row and write down the result; `also` is what else must be right.

    The row lock makes tries of one account come one after another: of any number of guesses sent
    at once, those after the fifth wrong one meet the lock.
    """
    secret = _DUMMY_SECRET
    if account is not None:
        sealed = account.totp_sealed
        opened = await vault.unseal(work, sealed, "staff", "totp_sealed", account.id)
        secret = opened.reveal().decode("ascii")
    step = totp.matching_step(secret, code.reveal(), work.now)
    if account is None or account.disabled_at is not None or _is_locked(account, work.now):
        return False
    right = also and step is not None
    if right and await work.execute(_ACCEPT_STEP, account.id, step) == "UPDATE 1":
        return True
    failures = account.failures + 1
    lock = decide_lock(failures)
    locked_until = work.now + lock if lock else None
    await work.execute(_COUNT_FAILURE, account.id, failures, locked_until)
    if locked_until is not None:
        work.note("staff.locked", str(account.id))
    return False


async def _open_session(work: Work, account: _Account, token: Secret[str]) -> SignedIn:
    expires_at = work.now + ABSOLUTE
    hashed = _token_hash(token.reveal())
    await work.execute(_OPEN_SESSION, hashed, account.id, work.now, expires_at)
    member = Member(
        id=account.id,
        kind=account.kind,
        name=account.name,
        roles=account.roles,
        bank=account.bank,
        agency=account.agency,
    )
    work.note("staff.sign_in", str(account.id), actor=member.actor)
    idle_after_s = int(IDLE.total_seconds())
    return SignedIn(token=token, expires_at=expires_at, idle_after_s=idle_after_s, member=member)


def decide_lock(failures: int) -> timedelta | None:
    """How long the account rests after this many failures in a row: each fifth one doubles it."""
    if failures % FAILURES_TO_LOCK:
        return None
    doublings = min(failures // FAILURES_TO_LOCK - 1, 10)
    return min(FIRST_LOCK * (1 << doublings), LONGEST_LOCK)


def _is_locked(account: _Account, now: datetime) -> bool:
    return account.locked_until is not None and account.locked_until > now


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _keyed(vault: Vault, passphrase: Secret[str]) -> bytes:
    """A table leaked without the key outside it lets nobody try passphrases."""
    text = unicodedata.normalize("NFC", passphrase.reveal())
    return hmac.digest(vault.pepper("staff-passphrase"), text.encode(), "sha256")


_AT_THE_DOOR: Final = Actor(kind=ActorKind.ANONYMOUS, id="staff-door")
_SCOPE: Final = "staff"
_DUMMY_SECRET: Final = "A" * 32
"""For a login that does not exist, so that its answer takes as long."""

_ADD: Final = """
insert into staff
    (id, kind, login, name, passphrase_hash, totp_sealed, roles, bank, agency, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

_HASH_BY_LOGIN: Final = "select passphrase_hash from staff where login = $1 and kind = $2"

_COLUMNS: Final = """
select id, kind, name, roles, bank, agency, passphrase_hash, totp_sealed, last_step, failures,
       locked_until, disabled_at
from staff"""

_LOCK_BY_LOGIN: Final = f"{_COLUMNS} where login = $1 and kind = $2 for update"

_LOCK_BY_ID: Final = f"{_COLUMNS} where id = $1 for update"

_ACCEPT_STEP: Final = """
update staff set last_step = $2, failures = 0, locked_until = null
where id = $1 and last_step < $2
"""

_COUNT_FAILURE: Final = """
update staff set failures = $2, locked_until = coalesce($3, locked_until) where id = $1
"""

_OPEN_SESSION: Final = """
insert into staff_sessions (token_hash, staff_id, created_at, last_seen_at, expires_at)
values ($1, $2, $3, $3, $4)
on conflict (staff_id) do update
set token_hash = excluded.token_hash, created_at = excluded.created_at,
    last_seen_at = excluded.last_seen_at, expires_at = excluded.expires_at
"""

_TOUCH: Final = """
update staff_sessions as session set last_seen_at = $3
from staff
where session.token_hash = $1 and staff.id = session.staff_id and staff.kind = $2
    and staff.disabled_at is null and session.last_seen_at >= $4 and session.expires_at > $3
returning staff.id, staff.kind, staff.name, staff.roles, staff.bank, staff.agency
"""

_END: Final = "delete from staff_sessions where staff_id = $1"

_DISABLE: Final = "update staff set disabled_at = $2 where id = $1 and disabled_at is null"

_MEMBER: Final = """
select id, kind, name, roles, bank, agency from staff where id = $1 and disabled_at is null
"""
