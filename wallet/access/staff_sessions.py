"""Sessions of staff: opened by signing in, given a new id by every further proof, ended at once.

Promise: an id is 256 random bits made here, and nowhere else: one that a caller brings along is
looked for and never adopted; of it only the hash is kept. Signing in and stepping up give a new
id, and the old one is dead in the same transaction. One session a person. Whoever has a role that
asks for a passkey does nothing before a passkey was shown in this session; every write asks for a
proof (a passkey where one is needed, else any second factor) no older than five minutes.

Tables owned: staff_sessions.

    open --15 min unused, 8 h old, signed out, signed in elsewhere, new roles, disabled--> gone
    open --step-up: time code or passkey--> open under a new id; the 8 hours go on

Who calls: staff (open, end), passkeys (renew), the doors (recognise, sign out, csrf_token).
"""

import base64
import enum
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from wallet.access import members
from wallet.access.members import Member, StaffKind
from wallet.identifiers import Secret, StaffId
from wallet.outcomes import Reason, Refused
from wallet.vault import Vault
from wallet.work import Actor, ActorKind, Work, Works

IDLE: Final = timedelta(minutes=15)
ABSOLUTE: Final = timedelta(hours=8)
PROOF_LASTS: Final = timedelta(minutes=5)
"""How old a second factor may be for a write (security.md section 1, support staff)."""


class Use(enum.Enum):
    """What a session is used for: looking, changing something, or for the session itself."""

    READ = "read"
    WRITE = "write"
    SESSION = "session"


class Proofs(Struct, frozen=True, kw_only=True):
    """When a second factor was last shown in a session, and when a passkey was."""

    proven_at: datetime
    passkey_at: datetime | None


class SignedIn(Struct, frozen=True, kw_only=True):
    """A session under a fresh id. The token is shown this once."""

    token: Secret[str]
    expires_at: datetime
    idle_after_s: int
    member: Member
    passkey_shown: bool


async def open_session(work: Work, member: Member) -> SignedIn:
    """Begin a session, whoever had one before; a second factor has just been shown."""
    token = _new_token()
    expires_at = work.now + ABSOLUTE
    await work.execute(_OPEN, _hash(token), member.id, work.now, expires_at)
    return _signed_in(token, expires_at, member, None)


async def renew(work: Work, member: Member, token: str, *, passkey: bool) -> SignedIn:
    """Give the session of `token` a new id after another proof. Refuses: UNAUTHENTICATED (gone, or
    renewed by another request meanwhile)."""
    fresh = _new_token()
    row = await work.row(_RENEW, member.id, _hash_of(token), _hash(fresh), work.now, passkey)
    if row is None:
        raise Refused(Reason.UNAUTHENTICATED)
    work.note("staff.step_up", str(member.id), reason="passkey" if passkey else "time code")
    return _signed_in(fresh, row["expires_at"], member, row["passkey_at"])


async def recognise(works: Works, kind: StaffKind, token: str, use: Use = Use.READ) -> Member:
    """Who holds this token, at the door for `kind`; using a session keeps it from idling out.

    Refuses: UNAUTHENTICATED, PASSKEY_REQUIRED, STEP_UP_REQUIRED (writes; fact `by`).
    """

    async def touch(work: Work) -> Member:
        row = await work.struct(_Found, _TOUCH, _hash_of(token), kind, work.now, work.now - IDLE)
        if row is None:
            raise Refused(Reason.UNAUTHENTICATED)
        decide_use(row.member, row.proofs, use, work.now)
        return row.member

    return await works.perform(AT_THE_DOOR, None, touch)


async def proofs_of(work: Work, member: Member, token: str) -> Proofs:
    """What was shown in the session of this token. Refuses: UNAUTHENTICATED."""
    proofs = await work.struct(Proofs, _PROOFS, member.id, _hash_of(token))
    if proofs is None:
        raise Refused(Reason.UNAUTHENTICATED)
    return proofs


async def sign_out(works: Works, member: Member) -> None:
    """End the member's session, everywhere and at once. Refuses: nothing."""

    async def leave(work: Work) -> None:
        await end(work, member.id)
        work.note("staff.sign_out", str(member.id))

    await works.perform(member.actor, None, leave)


async def end(work: Work, staff_id: StaffId) -> None:
    await work.execute(_END, staff_id)


def csrf_token(vault: Vault, token: str) -> str:
    """What a page of ours sends beside the cookie, which it cannot read: follows from the session's
    id under a key outside the database, and changes with it."""
    return _text(hmac.digest(vault.pepper("staff-csrf"), token.encode(), "sha256"))


def decide_csrf(vault: Vault, token: str, given: str | None) -> None:
    """Refuses: CROSS_SITE."""
    if given is None or not hmac.compare_digest(
        csrf_token(vault, token).encode(), given.encode("latin-1", "replace")
    ):
        raise Refused(Reason.CROSS_SITE)


def decide_use(member: Member, proofs: Proofs, use: Use, now: datetime) -> None:
    """Whether a session may be used so. Refuses: PASSKEY_REQUIRED, STEP_UP_REQUIRED."""
    if use is Use.SESSION:
        return
    if member.needs_passkey and proofs.passkey_at is None:
        raise Refused(Reason.PASSKEY_REQUIRED)
    shown_at = proofs.passkey_at if member.needs_passkey else proofs.proven_at
    if use is Use.WRITE and (shown_at is None or shown_at <= now - PROOF_LASTS):
        raise Refused(Reason.STEP_UP_REQUIRED, by="passkey" if member.needs_passkey else "totp")


def decide_fresh_passkey(proofs: Proofs, now: datetime) -> None:
    """Whether a passkey was shown just now. Refuses: STEP_UP_REQUIRED."""
    if proofs.passkey_at is None or proofs.passkey_at <= now - PROOF_LASTS:
        raise Refused(Reason.STEP_UP_REQUIRED, by="passkey")


class _Found(Member, frozen=True, kw_only=True):
    proven_at: datetime
    passkey_at: datetime | None

    @property
    def member(self) -> Member:
        return Member(**{name: getattr(self, name) for name in Member.__struct_fields__})

    @property
    def proofs(self) -> Proofs:
        return Proofs(proven_at=self.proven_at, passkey_at=self.passkey_at)


def _signed_in(
    token: Secret[str], expires_at: datetime, member: Member, passkey_at: datetime | None
) -> SignedIn:
    return SignedIn(
        token=token,
        expires_at=expires_at,
        idle_after_s=int(IDLE.total_seconds()),
        member=member,
        passkey_shown=passkey_at is not None,
    )


def _new_token() -> Secret[str]:
    return Secret(_text(secrets.token_bytes(32)))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _hash(token: Secret[str]) -> bytes:
    return _hash_of(token.reveal())


def _hash_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


AT_THE_DOOR: Final = Actor(kind=ActorKind.ANONYMOUS, id="staff-door")

_OPEN: Final = """
insert into staff_sessions
    (token_hash, staff_id, created_at, last_seen_at, expires_at, proven_at)
values ($1, $2, $3, $3, $4, $3)
on conflict (staff_id) do update
set token_hash = excluded.token_hash, created_at = excluded.created_at,
    last_seen_at = excluded.last_seen_at, expires_at = excluded.expires_at,
    proven_at = excluded.proven_at, passkey_at = null
"""

_RENEW: Final = """
update staff_sessions
set token_hash = $3, last_seen_at = $4, proven_at = $4,
    passkey_at = case when $5 then $4 else passkey_at end
where staff_id = $1 and token_hash = $2
returning expires_at, passkey_at
"""

_TOUCH: Final = f"""
update staff_sessions as session set last_seen_at = $3
from staff
where session.token_hash = $1 and staff.id = session.staff_id and staff.kind = $2
    and staff.disabled_at is null and session.last_seen_at >= $4 and session.expires_at > $3
returning {members.FIELDS}, session.proven_at, session.passkey_at
"""  # noqa: S608 - columns of ours

_PROOFS: Final = """
select proven_at, passkey_at from staff_sessions where staff_id = $1 and token_hash = $2
"""

_END: Final = "delete from staff_sessions where staff_id = $1"


async def forget(work: Work, before: datetime, most: int) -> int:
    """Drop up to `most` sessions over since before a moment; answers how many."""
    tag = await work.execute(_FORGET, before, most)
    return int(tag.removeprefix("DELETE "))


_FORGET: Final = """
delete from staff_sessions where token_hash in (
    select token_hash from staff_sessions where expires_at < $1 limit $2 for update skip locked)
"""
