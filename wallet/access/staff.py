"""Staff: agency officers, bank clerks, support agents and admins, who sign in with passphrase and
code.

Promise: a code is good once (the newest accepted time step is in PostgreSQL and only grows), in its
own half minute and the next one; five failures in a row lock for a while, longer each time,
whatever Redis remembers; the answer and the time it takes are the same whichever part was wrong;
signing in ends the session before it.

Tables owned: staff. Who calls: the doors (sign in, step up), approvals (the checker's second
proof), roles (set them), the operator's command and seed (enrol).
"""

import hmac
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.access import passphrases, staff_sessions, totp
from wallet.access.evenly import SIGN_IN_S, Evenly
from wallet.access.hashing import Hashing
from wallet.access.members import Member, Permission, Role, StaffKind, member_of
from wallet.access.staff_sessions import AT_THE_DOOR, SignedIn
from wallet.database import CheckViolation, UniqueViolation
from wallet.identifiers import AgencyId, BankId, Secret, StaffId, new_id
from wallet.outcomes import Declined, Reason, Refused
from wallet.throttle import RetryAfter, Throttle
from wallet.vault import Vault
from wallet.work import SYSTEM, Actor, Work, Works

__all__ = ["Member", "Permission", "Role", "SignedIn", "StaffKind", "member_of"]

FAILURES_TO_LOCK: Final = 5
FIRST_LOCK: Final = timedelta(minutes=15)
LONGEST_LOCK: Final = timedelta(hours=24)
SIGN_INS_PER_MINUTE: Final = 10
ISSUER: Final = "Smart ID Wallet"


class Enrolled(Struct, frozen=True, kw_only=True):
    """A new member, and what their authenticator app needs, shown this once."""

    id: StaffId
    totp_secret: Secret[str]
    otpauth_uri: Secret[str]


class Listed(Struct, frozen=True, kw_only=True):
    """One of the staff as admins see them."""

    id: StaffId
    kind: StaffKind
    login: str
    name: str
    roles: list[str]
    bank: BankId | None
    agency: AgencyId | None
    passkeys: int
    created_at: datetime
    disabled_at: datetime | None


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
    roles: frozenset[str],
    bank: BankId | None = None,
    agency: AgencyId | None = None,
    totp_secret: str | None = None,
    by: Actor = SYSTEM,
) -> Enrolled:
    """Take one person on: 15 to 128 characters of passphrase, a fresh authenticator secret unless
    one is given. Refuses: PASSPHRASE_WEAK, CONFLICT (login taken; roles: none, unknown or not for
    this kind; house: a clerk is of one bank, an officer of one agency, others of none)."""
    passphrases.decide_strength(passphrase.reveal(), login=login)
    if (kind is StaffKind.BANK_CLERK) != (bank is not None) or (
        kind is StaffKind.AGENCY_OFFICER
    ) != (agency is not None):
        raise Refused(Reason.CONFLICT, field="house")
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
        except CheckViolation:
            raise Refused(Reason.CONFLICT, field="roles") from None
        work.note("staff.enrol", str(staff_id), reason=f"{kind.value}: {','.join(sorted(roles))}")

    await works.perform(by, None, add)
    uri = totp.provisioning_uri(secret, account=login, issuer=ISSUER)
    return Enrolled(id=staff_id, totp_secret=Secret(secret), otpauth_uri=Secret(uri))


async def sign_in(
    works: Works, vault: Vault, hashing: Hashing, throttle: Throttle, tried: SignInTry
) -> SignedIn:
    """Open a session for passphrase and time code; a failure is counted and committed first, and
    told evenly.

    Refuses: SIGN_IN_FAILED (whatever was wrong: login, kind, passphrase, code, lock), RATE_LIMITED,
    BUSY.
    """
    bucket = "staff-sign-in:" + vault.blind_index("staff-login", tried.login).hex()
    admitted = await throttle.admit(bucket, SIGN_INS_PER_MINUTE, SIGN_INS_PER_MINUTE)
    if isinstance(admitted, RetryAfter):
        raise Refused(Reason.RATE_LIMITED, retry_after_s=admitted.seconds)
    even = Evenly(SIGN_IN_S)

    async def look_up(work: Work) -> str | None:
        encoded: str | None = await work.value(_HASH_BY_LOGIN, tried.login, tried.kind)
        return encoded

    encoded = await works.read(AT_THE_DOOR, None, look_up)
    right = await hashing.matches(encoded, _keyed(vault, tried.passphrase))

    async def decide(work: Work) -> SignedIn | None:
        account = await work.struct(_Account, _LOCK_BY_LOGIN, tried.login, tried.kind)
        same_hash = account is not None and hmac.compare_digest(
            account.passphrase_hash, encoded or ""
        )
        proven = await _prove(work, vault, account, tried.code, also=right and same_hash)
        if account is None or not proven:
            work.note("staff.sign_in_failed", "unknown" if account is None else str(account.id))
            return None
        member = await member_of(work, account.id)
        work.note("staff.sign_in", str(account.id), actor=member.actor)
        return await staff_sessions.open_session(work, member)

    signed_in = await works.perform(AT_THE_DOOR, None, decide)
    if signed_in is None:
        await even.refused()
        raise Refused(Reason.SIGN_IN_FAILED)
    return signed_in


async def disable(work: Work, staff_id: StaffId) -> None:
    """Let a person in no more, from this moment. Refuses: NOT_FOUND."""
    if await work.execute(_DISABLE, staff_id, work.now) != "UPDATE 1":
        raise Refused(Reason.NOT_FOUND)
    await staff_sessions.end(work, staff_id)
    work.note("staff.disable", str(staff_id))


async def roles_locked(work: Work, staff_id: StaffId) -> frozenset[str]:
    """The roles somebody has, which nobody changes until this Work ends. Refuses: NOT_FOUND."""
    row = await work.row(_LOCK_ROLES, staff_id)
    if row is None:
        raise Refused(Reason.NOT_FOUND)
    return frozenset(row["roles"])


async def set_roles(work: Work, staff_id: StaffId, roles: Sequence[str]) -> None:
    """Give somebody these roles and no others, and end their session: `roles` alone calls this,
    once a second admin has agreed. Refuses: CONFLICT (unknown, or not for this kind of staff)."""
    try:
        await work.execute(_SET_ROLES, staff_id, list(roles))
    except CheckViolation:
        raise Refused(Reason.CONFLICT, field="roles") from None
    await staff_sessions.end(work, staff_id)


async def everybody(work: Work, limit: int) -> list[Listed]:
    """The staff, by login, those let go included."""
    return await work.structs(Listed, _EVERYBODY, limit)


async def id_of(work: Work, login: str) -> StaffId:
    """Whose login this is. Refuses: NOT_FOUND."""
    found: StaffId | None = await work.value(_ID_OF, login)
    if found is None:
        raise Refused(Reason.NOT_FOUND)
    return found


async def logins_taken(work: Work, logins: Sequence[str]) -> set[str]:
    """Those of these logins that somebody has, disabled or not."""
    return {row["login"] for row in await work.rows(_TAKEN, list(logins))}


async def step_up_session(
    works: Works, vault: Vault, member: Member, token: str, code: Secret[str]
) -> SignedIn | Declined:
    """Show a fresh time code in an open session, which goes on under a new id.

    Declines: OTP_WRONG, LOCKED. Refuses: UNAUTHENTICATED.
    """

    async def act(work: Work) -> SignedIn | Declined:
        declined = await step_up(work, vault, member.id, code)
        if declined is not None:
            return declined
        return await staff_sessions.renew(work, member, token, passkey=False)

    return await works.perform(member.actor, None, act)


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
        await work.execute(_COUNT_FAILURE, _NOBODY, 0, None)
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


def decide_lock(failures: int) -> timedelta | None:
    """How long the account rests after this many failures in a row: each fifth one doubles it."""
    if failures % FAILURES_TO_LOCK:
        return None
    doublings = min(failures // FAILURES_TO_LOCK - 1, 10)
    return min(FIRST_LOCK * (1 << doublings), LONGEST_LOCK)


def _is_locked(account: _Account, now: datetime) -> bool:
    return account.locked_until is not None and account.locked_until > now


def _keyed(vault: Vault, passphrase: Secret[str]) -> bytes:
    """A table leaked without the key outside it lets nobody try passphrases."""
    text = unicodedata.normalize("NFC", passphrase.reveal())
    return hmac.digest(vault.pepper("staff-passphrase"), text.encode(), "sha256")


_SCOPE: Final = "staff"
_DUMMY_SECRET: Final = "A" * 32
_NOBODY: Final = StaffId(UUID(int=0))
"""For a login that does not exist or is let in no more, so that its answer takes as long."""

_ADD: Final = """
insert into staff
    (id, kind, login, name, passphrase_hash, totp_sealed, roles, bank, agency, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

_HASH_BY_LOGIN: Final = "select passphrase_hash from staff where login = $1 and kind = $2"

_COLUMNS: Final = """
select id, passphrase_hash, totp_sealed, last_step, failures, locked_until, disabled_at
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

_DISABLE: Final = "update staff set disabled_at = $2 where id = $1 and disabled_at is null"

_LOCK_ROLES: Final = "select roles from staff where id = $1 and disabled_at is null for update"

_SET_ROLES: Final = "update staff set roles = $2 where id = $1"

_EVERYBODY: Final = """
select id, kind, login, name, roles, bank, agency, created_at, disabled_at,
       (select count(*)::integer from passkeys p
        where p.staff_id = staff.id and p.revoked_at is null) as passkeys
from staff order by login limit $1
"""

_ID_OF: Final = "select id from staff where login = $1"
