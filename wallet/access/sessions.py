"""A holder's session: opened by the device's key and the PIN, carried by an opaque token.

Promise: a token is 256 random bits of which only the SHA-256 is kept. With it money may be moved
until 5 minutes after its last use and 30 minutes after signing in; what is the holder's may be read
until 30 minutes after its last use and 12 hours after signing in; and neither from the moment its
phone is revoked or it is signed out. What was wrong with a sign-in is never told, not by the answer
and not by the time it takes; but a phone that proves a key which no longer counts is told so.

Tables owned: sessions.

    acting  --5 min unused | 30 min old---------------------------------------> reading
    acting, reading --30 min unused | 12 h old | signed out | signed in anew
                      | ended from the list | phone revoked-------------------> gone

Who calls: the mobile door (sign in, `Recognition` on every request), devices (revoking).
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.access import pins
from wallet.access.evenly import SIGN_IN_S, Evenly
from wallet.access.hashing import Hashing
from wallet.access.signing import LOGIN, canonical, signed_by, unbase64url
from wallet.database import Record
from wallet.identifiers import BankId, DeviceId, HolderId, Secret
from wallet.money import Currency
from wallet.outcomes import Reason, Refused
from wallet.throttle import RetryAfter, Throttle
from wallet.vault import Vault
from wallet.work import Actor, ActorKind, Work, Works

IDLE: Final = timedelta(minutes=5)
ABSOLUTE: Final = timedelta(minutes=30)
READING_IDLE: Final = timedelta(minutes=30)
READING_ABSOLUTE: Final = timedelta(hours=12)
SEEN_EVERY: Final = timedelta(seconds=30)
"""How often at most a session's last use is written down."""

SIGN_INS_PER_MINUTE: Final = 10
TOGETHER_AT_MOST: Final = 512
REMEMBERED: Final = 50_000

Host = str


class HolderSession(Struct, frozen=True, kw_only=True):
    """Who holds a token: what the mobile door needs to know about its caller."""

    id: UUID = UUID(int=0)
    token_hash: bytes
    holder_id: HolderId
    device_id: DeviceId
    bank: BankId
    language: str
    last_seen_at: datetime
    expires_at: datetime
    may_act: bool = False
    """Money may be moved; otherwise only read."""
    cooling: bool
    """The phone or the telephone number is newer than 12 hours."""
    unproven_minor: Mapping[Currency, int] = {}
    """What the phone moved on signatures alone since its last right code."""

    @property
    def actor(self) -> Actor:
        return Actor(
            kind=ActorKind.DEVICE,
            id=str(self.device_id),
            bank=self.bank,
            holder_id=self.holder_id,
            device_id=self.device_id,
        )


class ListedSession(Struct, frozen=True, kw_only=True):
    """A session as its holder sees it."""

    id: UUID
    device_id: DeviceId
    created_at: datetime
    last_seen_at: datetime
    may_act: bool
    current: bool


class LoginTry(Struct, frozen=True, kw_only=True):
    """What a phone claims: its id, the nonce it was given, its signature over it, and the PIN."""

    device_id: DeviceId
    challenge: str
    signature: bytes
    pin: Secret[str]


class SignedIn(Struct, frozen=True, kw_only=True):
    """A fresh session. The token is shown this once."""

    token: Secret[str]
    holder_id: HolderId
    expires_at: datetime
    idle_after_s: int


def login_bytes(challenge: str, device_id: DeviceId, host: Host) -> bytes:
    """What the phone signs to sign in: the nonce as raw bytes, its own id, the host it means."""
    nonce = unbase64url(challenge, field="challenge")
    return canonical((LOGIN, nonce, str(device_id), host))


async def sign_in(
    works: Works, vault: Vault, hashing: Hashing, throttle: Throttle, host: Host, tried: LoginTry
) -> SignedIn:
    """Open a session for the device's signature over a fresh nonce and the holder's PIN.

    Everything is checked whatever was wrong before it, and every failure is written down in one
    transaction of the same shape and told evenly, so that time tells nothing; a wrong PIN is
    counted, but only for who has the device's key: nobody else can lock a holder out.

    Refuses: SIGN_IN_FAILED (whatever was wrong), DEVICE_NOT_ACTIVE (only to a phone that proves its
    key), RATE_LIMITED, BUSY, OTP_UNAVAILABLE (no nonces without Redis).
    """
    admitted = await throttle.admit(
        "sign-in", SIGN_INS_PER_MINUTE, SIGN_INS_PER_MINUTE, tag=str(tried.device_id)
    )
    if isinstance(admitted, RetryAfter):
        raise Refused(Reason.RATE_LIMITED, retry_after_s=admitted.seconds)
    even = Evenly(SIGN_IN_S)
    fresh = await throttle.take_login_nonce(str(tried.device_id), tried.challenge)

    async def look_up(work: Work) -> _Account | None:
        return await work.struct(_Account, _ACCOUNT, tried.device_id)

    account = await works.read(_AT_THE_DOOR, None, look_up)
    digest = hashlib.sha256(login_bytes(tried.challenge, tried.device_id, host)).digest()
    signed = signed_by(account.public_key if account else _NOBODYS_KEY, tried.signature, digest)
    holder_id = account.holder_id if account else _NOBODY
    encoded = account.encoded if account else None
    right = await pins.matches(vault, hashing, holder_id, encoded, tried.pin)
    if account is None or not fresh or not signed:
        await _fail_alike(works, tried)
        await even.refused()
        raise Refused(Reason.SIGN_IN_FAILED)
    if account.state != "ACTIVE":
        raise Refused(Reason.DEVICE_NOT_ACTIVE)
    signed_in = await _decide_and_open(works, account, tried, right=right)
    if signed_in is None:
        await even.refused()
        raise Refused(Reason.SIGN_IN_FAILED)
    return signed_in


async def _fail_alike(works: Works, tried: LoginTry) -> None:
    """What a wrong PIN costs, for a sign-in that failed before it: a row looked for under lock, a
    row written, a commit."""

    async def fail(work: Work) -> None:
        nobodys = pins.Pin(encoded="", failures=0, locked_until=None)
        await pins.locked(work, _NOBODY)
        await pins.count(work, _NOBODY, nobodys, right=False)
        work.note("session.failed", str(tried.device_id))

    await works.perform(_AT_THE_DOOR, None, fail)


async def _decide_and_open(
    works: Works, account: "_Account", tried: LoginTry, *, right: bool
) -> SignedIn | None:
    token = Secret(secrets.token_urlsafe(32))

    async def decide(work: Work) -> SignedIn | None:
        pin = await pins.locked(work, account.holder_id)
        if pin is None:
            return None
        right_now = right and hmac.compare_digest(pin.encoded, account.encoded)
        if not await pins.count(work, account.holder_id, pin, right=right_now):
            work.note("session.failed", str(account.device_id), holder_id=account.holder_id)
            return None
        return await _open(work, account, token)

    actor = Actor(
        kind=ActorKind.DEVICE,
        id=str(tried.device_id),
        bank=account.bank,
        holder_id=account.holder_id,
        device_id=tried.device_id,
    )
    return await works.perform(actor, account.bank, decide)


async def _open(work: Work, account: "_Account", token: Secret[str]) -> SignedIn | None:
    expires_at = work.now + ABSOLUTE
    hashed = token_hash(token.reveal())
    opened = await work.value(
        _OPEN, hashed, account.bank, account.holder_id, account.device_id, work.now, expires_at
    )
    if opened is None:
        return None
    work.note("session.open", str(account.device_id), holder_id=account.holder_id)
    return SignedIn(
        token=token,
        holder_id=account.holder_id,
        expires_at=expires_at,
        idle_after_s=int(IDLE.total_seconds()),
    )


async def sign_out(works: Works, session: HolderSession) -> None:
    """End this session, everywhere and at once. Refuses: nothing."""

    async def end(work: Work) -> None:
        await work.execute(_END, session.token_hash)
        work.note("session.end", str(session.device_id), holder_id=session.holder_id)

    await works.perform(session.actor, session.bank, end)


async def end_all(work: Work, holder_id: HolderId) -> None:
    """End every session of a holder with this Work: for whoever revokes a phone."""
    await work.execute(_END_ALL, holder_id)


async def listed(work: Work, session: HolderSession) -> list[ListedSession]:
    """The holder's sessions that still open anything, the newest first."""
    rows = await work.rows(_OF_HOLDER, session.holder_id)
    return [
        ListedSession(
            id=row["id"],
            device_id=row["device_id"],
            created_at=row["created_at"],
            last_seen_at=row["last_seen_at"],
            may_act=decide_acting(row, work.now),
            current=row["id"] == session.id,
        )
        for row in rows
        if decide_reading(row, work.now)
    ]


async def end(works: Works, session: HolderSession, session_id: UUID) -> None:
    """End one of the holder's own sessions, everywhere and at once. Refuses: NOT_FOUND."""

    async def end_one(work: Work) -> None:
        if await work.value(_END_ONE, session_id, session.holder_id) is None:
            raise Refused(Reason.NOT_FOUND)
        work.note("session.end", str(session.device_id), holder_id=session.holder_id)

    await works.perform(session.actor, session.bank, end_one)


def decide_acting(row: Record, now: datetime) -> bool:
    acting: bool = row["expires_at"] > now and row["last_seen_at"] > now - IDLE
    return acting


def decide_reading(row: Record, now: datetime) -> bool:
    idle: bool = row["last_seen_at"] <= now - READING_IDLE
    return not idle and row["created_at"] > now - READING_ABSOLUTE


async def recognise(works: Works, token_hashes: Sequence[bytes]) -> dict[bytes, HolderSession]:
    """The live sessions behind these token hashes, by hash, in one statement and no transaction;
    one not used for `SEEN_EVERY` is marked as used. Refuses: UNAVAILABLE."""
    found: dict[bytes, HolderSession] = {}
    stale: list[bytes] = []
    for row in await works.look(_NAMED, list(token_hashes)):
        now = works.clock.at(row["database_now"])
        seen_at, cooling_until = row["last_seen_at"], row["cooling_until"]
        if not decide_reading(row, now):
            continue
        if seen_at <= now - SEEN_EVERY:
            stale.append(row["token_hash"])
        found[row["token_hash"]] = HolderSession(
            id=row["id"],
            token_hash=row["token_hash"],
            holder_id=row["holder_id"],
            device_id=row["device_id"],
            bank=row["bank"],
            language=row["language"],
            last_seen_at=seen_at,
            expires_at=row["expires_at"],
            may_act=decide_acting(row, now),
            cooling=cooling_until is not None and cooling_until > now,
            unproven_minor={
                Currency.KHR: row["unproven_khr"],
                Currency.USD: row["unproven_usd"],
            },
        )
    if stale:

        async def touch(work: Work) -> None:
            await work.execute(_TOUCH, sorted(stale), work.now, IDLE)

        await works.perform(_AT_THE_DOOR, None, touch)
    return found


class Recognition:
    """Names the callers of concurrent requests with one query for all that wait, one per process.

    No answer is kept: a session ended anywhere is unknown here from its commit on. Only whose a
    token was is remembered, for what may be begun before the answer.
    """

    def __init__(self, works: Works) -> None:
        self._works = works
        self._waiting: dict[bytes, list[asyncio.Future[HolderSession | None]]] = {}
        self._running: asyncio.Task[None] | None = None
        self._seen: OrderedDict[bytes, HolderId] = OrderedDict()

    def last_seen(self, token: str) -> HolderId | None:
        """Whose this token was when it last opened something here. It need not any more."""
        return self._seen.get(token_hash(token))

    async def of(self, token: str, *, reading: bool = False) -> HolderSession:
        """Who holds this token; using a session keeps it from idling out. `reading`: nothing is
        going to be done with it but look.

        Refuses: UNAUTHENTICATED, SIGN_IN_AGAIN (it may only read by now), UNAVAILABLE.
        """
        answer: asyncio.Future[HolderSession | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(token_hash(token), []).append(answer)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._serve())
        session = await answer
        if session is None:
            self._seen.pop(token_hash(token), None)
            raise Refused(Reason.UNAUTHENTICATED)
        self._remember(session)
        if not (reading or session.may_act):
            raise Refused(Reason.SIGN_IN_AGAIN)
        return session

    def _remember(self, session: HolderSession) -> None:
        if session.token_hash in self._seen:
            return
        self._seen[session.token_hash] = session.holder_id
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    async def stands(self, session: HolderSession) -> bool:
        """Whether a session still opens anything, without its being used by the question: for
        whoever keeps a line open. Refuses: UNAVAILABLE."""
        rows = await self._works.look(_NAMED, [session.token_hash])
        return any(decide_reading(row, self._works.clock.at(row["database_now"])) for row in rows)

    async def _serve(self) -> None:
        while self._waiting:
            first = list(islice(self._waiting, TOGETHER_AT_MOST))
            together = {hashed: self._waiting.pop(hashed) for hashed in first}
            try:
                found = await recognise(self._works, first)
            except Exception as error:
                for answer in chain.from_iterable(together.values()):
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for hashed, answers in together.items():
                for answer in answers:
                    if not answer.done():
                        answer.set_result(found.get(hashed))


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class _Account(Struct, frozen=True, kw_only=True):
    device_id: DeviceId
    holder_id: HolderId
    bank: BankId
    public_key: bytes
    encoded: str
    state: str


_AT_THE_DOOR: Final = Actor(kind=ActorKind.ANONYMOUS, id="mobile-door")
_NOBODY: Final = HolderId(UUID(int=0))
# the curve's base point: a key like any other, so that an unknown device costs the same check
_NOBODYS_KEY: Final = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)

_ACCOUNT: Final = """
select d.id as device_id, d.holder_id, d.bank, d.public_key, d.state, p.encoded
from devices d join pins p on p.holder_id = d.holder_id where d.id = $1
"""

# The device is locked while its session opens: one being revoked leaves no session behind.
_OPEN: Final = """
with device as (
    select id from devices where id = $4 and state = 'ACTIVE' for share)
insert into sessions
    (token_hash, bank, holder_id, device_id, created_at, last_seen_at, expires_at)
select $1, $2, $3, id, $5, $5, $6 from device
on conflict (device_id) do update
set token_hash = excluded.token_hash, id = gen_random_uuid(), created_at = excluded.created_at,
    last_seen_at = excluded.last_seen_at, expires_at = excluded.expires_at
returning device_id
"""

_END: Final = "delete from sessions where token_hash = $1"

_END_ALL: Final = "delete from sessions where holder_id = $1"

_NAMED: Final = "select * from sessions_named($1)"

_OF_HOLDER: Final = """
select id, device_id, created_at, last_seen_at, expires_at from sessions
where holder_id = $1 order by created_at desc
"""

_END_ONE: Final = "delete from sessions where id = $1 and holder_id = $2 returning id"

# Reading on after a pause gives back no right to act: that stays over.
_TOUCH: Final = """
update sessions
set last_seen_at = $2,
    expires_at = case when last_seen_at <= $2 - $3::interval
                      then least(expires_at, last_seen_at + $3::interval) else expires_at end
where token_hash = any($1) and last_seen_at < $2
"""


async def forget(work: Work, before: datetime, most: int) -> int:
    """Drop up to `most` sessions begun before a moment, long over; answers how many."""
    tag = await work.execute(_FORGET, before, most)
    return int(tag.removeprefix("DELETE "))


# At most one a phone: few enough to be read through.
_FORGET: Final = """
delete from sessions where token_hash in (
    select token_hash from sessions where created_at < $1 limit $2 for update skip locked)
"""
