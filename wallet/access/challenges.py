"""Codes sent for one intent: asked for, kept as a key, gated, sent by a durable job.

Promise: a code is HOTP (8 digits, SHA-256) under a key made for that one sending, with the intent's
own bytes as the counter, so it fits no other amount, payee or letter. The code itself is stored
nowhere and is computed again where it is needed; Redis sees keyed hashes only. At most 3 codes in
10 minutes, each good for 120 s and never longer than its intent; a new one replaces the one before
and gives back no tries. Without Redis no code is made and none is let through.

Tables owned: otp_challenges.

    OPEN --right code, with its effect--> USED
         --a new code is asked for------> REPLACED
         --120 s, or 5 wrong codes------> OPEN, dead

Who calls: the mobile door (asking, the gate), the worker (sending), otp (judging).
"""

import base64
import enum
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import pyotp
from msgspec import Struct

from wallet.identifiers import BankId, DeviceId, HolderId, IntentId, Secret, new_id
from wallet.outcomes import Done, GroupAnswer, Reason, Refused
from wallet.teller import Lane, Teller
from wallet.throttle import Throttle, Verdict
from wallet.vault import Vault, person_scope
from wallet.work import Actor, Work, Works

LIFE: Final = timedelta(seconds=120)
CODE_DIGITS: Final = 8
TRIES: Final = 5
CODES_AT_MOST: Final = 3
CODES_WINDOW: Final = timedelta(minutes=10)
KEY_BYTES: Final = 32
SEND: Final = "otp.send"
"""The name of the job that sends a code; its payload is {bank, challenge_id}."""

_GSM_SEGMENT: Final = 160
_KHMER_SEGMENT: Final = 70


class Gate(enum.StrEnum):
    """What the gate in Redis said of a code. It can only refuse; it never lets through alone."""

    NOT_ASKED = "not_asked"  # no sent code among the factors
    PASSED = "passed"
    WRONG = "wrong"
    SPENT = "spent"  # right, but another request was first
    DEAD = "dead"  # nothing to compare with: never sent, expired, or lost with Redis's memory
    SHUT = "shut"  # Redis does not answer


_GATES: Final = {
    Verdict.OK: Gate.PASSED,
    Verdict.BAD: Gate.WRONG,
    Verdict.LOCKED: Gate.WRONG,
    Verdict.USED: Gate.SPENT,
    Verdict.GONE: Gate.DEAD,
}


class Subject(Struct, frozen=True, kw_only=True):
    """The intent a code is asked for, as its room found it: whose, which bytes, said how."""

    intent_id: IntentId
    holder_id: HolderId
    device_id: DeviceId
    bank: BankId
    tx_hash: bytes
    act: str
    """What the code allows, in the holder's language: goes into the message beside the code."""
    language: str
    expires_at: datetime


class Challenge(Struct, frozen=True, kw_only=True):
    """One sending, as it lies in the table."""

    id: UUID
    intent_id: IntentId
    holder_id: HolderId
    tx_hash: bytes
    key_sealed: bytes
    message: str
    tries: int
    expires_at: datetime

    @property
    def place(self) -> tuple[str, str, UUID]:
        return "otp_challenges", "key_sealed", self.id


class SmsPort(Protocol):
    """What carries a text to a telephone. Adapters live in notifications.channels."""

    async def send(self, *, to: str, text: str, ref: str) -> None:
        """Hand one message over; `ref` makes a repeat recognisable. Raises when not accepted."""
        ...


def code_over(key: bytes, tx_hash: bytes) -> str:
    """HOTP (RFC 4226) with SHA-256 and eight digits; the counter is the first eight bytes of the
    SHA-256 of the intent's canonical bytes, so the code belongs to exactly those."""
    hotp = pyotp.HOTP(_base32(key), digits=CODE_DIGITS, digest=hashlib.sha256)
    return hotp.at(int.from_bytes(tx_hash[:8], "big"))


# asking


async def ask(
    works: Works, vault: Vault, throttle: Throttle, actor: Actor, subject: Subject
) -> datetime:
    """Make a code for an intent and have it sent; answers until when it is good.

    The gate is opened first: with Redis gone nothing is written and nothing sent.
    Refuses: OTP_UNAVAILABLE, RATE_LIMITED (3 codes in 10 minutes), INTENT_EXPIRED.
    """
    challenge_id, key = new_id(), secrets.token_bytes(KEY_BYTES)
    verifier = _verifier(vault, challenge_id, code_over(key, subject.tx_hash), subject.tx_hash)
    await throttle.issue_challenge(
        str(challenge_id),
        verifier,
        subject.tx_hash,
        str(subject.device_id),
        int(LIFE.total_seconds() * 1000),
        TRIES,
        tag=str(subject.holder_id),
    )

    return await works.perform(
        actor, subject.bank, lambda work: _write(work, vault, subject, challenge_id, key)
    )


async def _write(
    work: Work, vault: Vault, subject: Subject, challenge_id: UUID, key: bytes
) -> datetime:
    await _refuse_too_many(work, subject.holder_id)
    expires_at = min(work.now + LIFE, subject.expires_at)
    if expires_at <= work.now:
        raise Refused(Reason.INTENT_EXPIRED)
    scope = person_scope(subject.holder_id)
    sealed = await vault.seal(work, scope, "otp_challenges", "key_sealed", challenge_id, key)
    await work.execute(_REPLACE, subject.intent_id)
    await work.execute(
        _ADD,
        challenge_id,
        subject.bank,
        subject.holder_id,
        subject.intent_id,
        subject.tx_hash,
        sealed,
        _worded(subject),
        work.now,
        expires_at,
    )
    work.later(SEND, {"bank": subject.bank, "challenge_id": str(challenge_id)})
    work.note("otp.ask", str(subject.intent_id), holder_id=subject.holder_id)
    return expires_at


async def _refuse_too_many(work: Work, holder_id: HolderId) -> None:
    # One asker of a holder at a time, so that parallel ones cannot both be the third.
    await work.execute(_ONE_ASKER, str(holder_id))
    oldest = await work.value(_NTH_NEWEST, holder_id, work.now - CODES_WINDOW, CODES_AT_MOST - 1)
    if oldest is not None:
        pause = int((oldest + CODES_WINDOW - work.now).total_seconds()) + 1
        raise Refused(Reason.RATE_LIMITED, retry_after_s=pause)


def _worded(subject: Subject) -> str:
    """The message with a place for the code, within one SMS segment: digits, then what for."""
    if subject.language == "km":
        head, most = "{code} ជាលេខកូដ Smart ID៖ ", _KHMER_SEGMENT
    else:
        head, most = "{code} is your Smart ID code: ", _GSM_SEGMENT
    room = most - len(head) + len("{code}") - CODE_DIGITS
    act = subject.act if len(subject.act) <= room else subject.act[: room - 1] + "…"
    return head + act.replace("{", "(").replace("}", ")")


_ONE_ASKER: Final = "select pg_advisory_xact_lock(hashtextextended('otp.ask:' || $1, 0))"

_NTH_NEWEST: Final = """
select created_at from otp_challenges where holder_id = $1 and created_at > $2
order by created_at desc offset $3 limit 1
"""

_REPLACE: Final = """
update otp_challenges set state = 'REPLACED' where intent_id = $1 and state = 'OPEN'
"""

_ADD: Final = """
insert into otp_challenges (id, bank, holder_id, intent_id, tx_hash, key_sealed, message, state,
                            created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, 'OPEN', $8, $9)
"""


# the gate


async def _find_open(work: Work, asked: Sequence[tuple[IntentId, HolderId]]) -> list[GroupAnswer]:
    rows = await work.structs(Challenge, _OPEN_OF_INTENTS, [intent_id for intent_id, _ in asked])
    found = {(challenge.intent_id, challenge.holder_id): challenge for challenge in rows}
    return [Done(answer={"open": found.get(one)}) for one in asked]


FIND_OPEN: Final[Lane[tuple[IntentId, HolderId]]] = Lane("otp.gate", _find_open)
"""Callers that come to the gate at once have their challenges looked up at once."""


async def gate(
    teller: Teller,
    vault: Vault,
    throttle: Throttle,
    actor: Actor,
    intent_id: IntentId,
    code: str,
    signature: bytes,
) -> Gate:
    """What Redis says of a sent code. The same request sent again gets the same answer, and whether
    or not there is anything to compare with, it takes the same steps.

    Refuses: UNAVAILABLE (PostgreSQL), BUSY; a silent Redis is the answer SHUT.
    """
    assert actor.bank is not None and actor.holder_id is not None  # noqa: S101, PT018 - a phone
    found = await teller.ask(FIND_OPEN, actor.bank, (intent_id, actor.holder_id))
    challenge: Challenge | None = found.answer["open"] if isinstance(found, Done) else None
    # where no code was sent Redis is asked all the same, for one that cannot be there
    subject = (intent_id, bytes(32)) if challenge is None else (challenge.id, challenge.tx_hash)
    try:
        tried = await throttle.verify_challenge(
            str(subject[0]),
            _verifier(vault, subject[0], code, subject[1]),
            subject[1],
            str(actor.device_id),
            hashlib.sha256(signature).hexdigest(),
            tag=str(actor.holder_id),
        )
    except Refused:
        return Gate.SHUT
    return _GATES[tried.verdict]


def _verifier(vault: Vault, challenge_id: UUID, code: str, tx_hash: bytes) -> bytes:
    """What stands for a code in Redis: keyed, and good for this challenge and transaction only."""
    text = f"{challenge_id}|{code}|{tx_hash.hex()}"
    return hmac.digest(vault.pepper("otp"), text.encode(), "sha256")


def _base32(key: bytes) -> str:
    return base64.b32encode(key).decode("ascii")


_COLUMNS: Final = "id, intent_id, holder_id, tx_hash, key_sealed, message, tries, expires_at"

_OPEN_OF_INTENTS: Final = f"""
select {_COLUMNS} from otp_challenges where intent_id = any($1) and state = 'OPEN'
"""  # noqa: S608 - constants


# sending: a durable job, after the asking transaction


async def send(
    works: Works,
    vault: Vault,
    sms: SmsPort,
    phone_of: Callable[[Work, HolderId], Awaitable[Secret[str] | None]],
    actor: Actor,
    payload: dict[str, Any],
) -> None:
    """Send the code a job names, unless it is over by now. Safe to run twice: the gateway
    recognises the challenge's id. Raises what the port raises, so that the job is tried again.
    """

    async def open_up(work: Work) -> tuple[Challenge, Secret[bytes], Secret[str] | None] | None:
        found = await work.struct(Challenge, _OPEN_BY_ID, UUID(payload["challenge_id"]), work.now)
        if found is None:
            return None
        key = await vault.unseal(work, found.key_sealed, *found.place)
        return found, key, await phone_of(work, found.holder_id)

    opened = await works.read(actor, BankId(payload["bank"]), open_up)
    if opened is None or opened[2] is None:
        return
    challenge, key, phone = opened
    assert phone is not None  # noqa: S101 - left above
    text = challenge.message.format(code=code_over(key.reveal(), challenge.tx_hash))
    await sms.send(to=phone.reveal(), text=text, ref=str(challenge.id))


_OPEN_BY_ID: Final = f"""
select {_COLUMNS} from otp_challenges where id = $1 and state = 'OPEN' and expires_at > $2
"""  # noqa: S608 - of constants


# judging: within the transaction of the effect


async def locked(work: Work, intent_ids: Sequence[IntentId]) -> dict[IntentId, Challenge]:
    """The open challenge of each intent, held until the Work ends."""
    if not intent_ids:
        return {}
    found = await work.structs(Challenge, _LOCK_OPEN, list(intent_ids))
    return {challenge.intent_id: challenge for challenge in found}


async def spend(work: Work, challenge_ids: Sequence[UUID]) -> None:
    """Mark codes used, with their effect."""
    if challenge_ids:
        await work.execute(_SPEND, list(challenge_ids))


async def count(work: Work, challenge_ids: Sequence[UUID]) -> None:
    """Count one wrong code for each mention."""
    if challenge_ids:
        await work.execute(_COUNT, list(challenge_ids))


_LOCK_OPEN: Final = f"""
select {_COLUMNS} from otp_challenges
where intent_id = any($1) and state = 'OPEN' order by id for update
"""  # noqa: S608 - of constants

_SPEND: Final = "update otp_challenges set state = 'USED' where id = any($1) and state = 'OPEN'"

_COUNT: Final = """
update otp_challenges as challenge set tries = least(tries + wrong.times, 5)
from (select id, count(*)::integer as times from unnest($1::uuid[]) as id group by id) as wrong
where challenge.id = wrong.id
"""
