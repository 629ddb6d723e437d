"""Codes sent for one intent: asked for, kept as a key, gated, sent by a durable job.

Promise: a code is HOTP (8 digits, SHA-256) under a key made for that one sending, with the intent's
own bytes as the counter, so it fits no other amount, payee or letter. The code itself is stored
nowhere and is computed again where it is needed; Redis sees keyed hashes only. At most 3 codes in
10 minutes, each good for 120 s and never longer than its intent; a new one replaces the one before
and gives back no tries. Without Redis no code is made and none is let through.

A code goes by the channel first chosen here: push to the phone that asked where it can be reached
so, else SMS; a code asked for anew after one that was pushed goes by SMS (see `sending`).

Tables owned: otp_challenges.

    OPEN --right code, with its effect--> USED
         --a new code is asked for------> REPLACED
         --120 s, or 5 wrong codes------> OPEN, dead

Who calls: the mobile door (asking, the gate), sending, otp (judging).
"""

import base64
import enum
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import pyotp
from msgspec import Struct

from wallet.identifiers import (
    SKEW,
    BankId,
    DeviceId,
    HolderId,
    IntentId,
    first_id_at,
    new_id,
)
from wallet.outcomes import Done, GroupAnswer, Reason, Refused
from wallet.teller import Lane, Teller
from wallet.throttle import Throttle, Verdict
from wallet.vault import Plain, Vault, person_scope
from wallet.work import Actor, ActorKind, Work

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


class Channel(enum.StrEnum):
    """By what a code goes to its holder."""

    PUSH = "push"  # sealed, to the phone that asked
    SMS = "sms"


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
    reachable: bool = False
    """The phone gave an address to push to."""


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
    channel: Channel
    pushed_at: datetime | None

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


class Asked(Struct, frozen=True, kw_only=True):
    """A code that was made: until when it is good, and by what it goes unless that fails."""

    expires_at: datetime
    channel: Channel


class _Made(Struct, frozen=True, kw_only=True):
    """A code of a holder within the window."""

    holder_id: HolderId
    intent_id: IntentId
    created_at: datetime
    pushed: bool


class _Wanted(Struct, frozen=True, kw_only=True):
    """A code whose gate is open, to be written down and sent."""

    subject: Subject
    actor: Actor
    challenge_id: UUID
    key: bytes


class Asking:
    """Codes asked for at one door: whoever asks at once is written down at once."""

    def __init__(self, teller: Teller, vault: Vault, throttle: Throttle) -> None:
        self._teller = teller
        self._vault = vault
        self._throttle = throttle
        self._lane: Lane[_Wanted] = Lane("otp.ask", self._write, caller=ActorKind.DEVICE)

    async def ask(self, actor: Actor, subject: Subject) -> Asked:
        """Make a code for an intent and have it sent; answers until when it is good, and by what
        it goes first.

        The gate is opened first: with Redis gone nothing is written and nothing sent.
        Refuses: OTP_UNAVAILABLE, RATE_LIMITED (3 codes in 10 minutes), INTENT_EXPIRED, BUSY.
        """
        challenge_id, key = new_id(), secrets.token_bytes(KEY_BYTES)
        code = code_over(key, subject.tx_hash)
        await self._throttle.issue_challenge(
            str(challenge_id),
            _verifier(self._vault, challenge_id, code, subject.tx_hash),
            subject.tx_hash,
            str(subject.device_id),
            int(LIFE.total_seconds() * 1000),
            TRIES,
            tag=str(subject.holder_id),
        )
        wanted = _Wanted(subject=subject, actor=actor, challenge_id=challenge_id, key=key)
        outcome = await self._teller.ask(self._lane, subject.bank, wanted)
        assert isinstance(outcome, Done)  # noqa: S101 - this lane declines nothing
        asked: Asked = outcome.answer["asked"]
        return asked

    async def _write(self, work: Work, asked: Sequence[_Wanted]) -> Sequence[GroupAnswer]:
        recent = await _recent(work, {one.subject.holder_id for one in asked})
        answers = [_decide_asked(one.subject, recent, work.now) for one in asked]
        made = [one for one, answer in zip(asked, answers, strict=True) if isinstance(answer, Done)]
        if made:
            await work.execute(_REPLACE, [one.subject.intent_id for one in made])
            sealed = await self._vault.seal_many(work, [_key_of(one) for one in made])
            told = [one.answer["asked"] for one in answers if isinstance(one, Done)]
            work.store("otp_challenges", _ADD, work.bank, work.now, *_columns(made, told, sealed))
        for one in made:
            subject, bank = one.subject, one.subject.bank
            work.later(SEND, {"bank": bank, "challenge_id": str(one.challenge_id)})
            holder_id, of_intent = subject.holder_id, str(subject.intent_id)
            work.note("otp.ask", of_intent, holder_id=holder_id, actor=one.actor)
        return answers


async def _recent(work: Work, holders: set[HolderId]) -> dict[HolderId, list[_Made]]:
    """What codes each holder had made within the window, in order."""
    # One asker of a holder at a time, so that parallel ones cannot both be the third.
    await work.execute(_ONE_ASKER, [str(holder_id) for holder_id in holders])
    recent: dict[HolderId, list[_Made]] = {holder_id: [] for holder_id in holders}
    for one in await work.structs(_Made, _MADE, list(holders), work.now - CODES_WINDOW):
        recent[one.holder_id].append(one)
    return recent


def _decide_asked(
    subject: Subject, recent: dict[HolderId, list[_Made]], now: datetime
) -> Done | Refused:
    """Whether this code may be made, after those before it in the group."""
    made = recent[subject.holder_id]
    if len(made) >= CODES_AT_MOST:
        oldest = made[-CODES_AT_MOST].created_at
        pause = int((oldest + CODES_WINDOW - now).total_seconds()) + 1
        return Refused(Reason.RATE_LIMITED, retry_after_s=pause)
    if subject.expires_at <= now:
        return Refused(Reason.INTENT_EXPIRED)
    # Asked for anew, though the gateway had taken it: it did not come.
    missed = any(one.pushed and one.intent_id == subject.intent_id for one in made)
    channel = Channel.PUSH if subject.reachable and not missed else Channel.SMS
    made.append(
        _Made(
            holder_id=subject.holder_id, intent_id=subject.intent_id, created_at=now, pushed=False
        )
    )
    until = min(now + LIFE, subject.expires_at)
    return Done(answer={"asked": Asked(expires_at=until, channel=channel)})


def _key_of(one: _Wanted) -> Plain:
    return Plain(
        scope=person_scope(one.subject.holder_id),
        table="otp_challenges",
        column="key_sealed",
        row_id=one.challenge_id,
        plaintext=one.key,
    )


def _columns(
    made: Sequence[_Wanted], told: Sequence[Asked], sealed: Sequence[bytes]
) -> tuple[list[Any], ...]:
    newest = {one.subject.intent_id: one.challenge_id for one in made}
    return (
        [one.challenge_id for one in made],
        [one.subject.holder_id for one in made],
        [one.subject.intent_id for one in made],
        [one.subject.tx_hash for one in made],
        list(sealed),
        [_worded(one.subject) for one in made],
        # of two for one intent within a group the last is good
        [
            "OPEN" if newest[one.subject.intent_id] == one.challenge_id else "REPLACED"
            for one in made
        ],
        [one.expires_at for one in told],
        [one.channel.value for one in told],
    )


def _worded(subject: Subject) -> str:
    """The message with a place for the code, within one SMS segment: digits, then what for."""
    if subject.language == "km":
        head, most = "{code} ជាលេខកូដ Smart ID៖ ", _KHMER_SEGMENT
    else:
        head, most = "{code} is your Smart ID code: ", _GSM_SEGMENT
    room = most - len(head) + len("{code}") - CODE_DIGITS
    act = subject.act if len(subject.act) <= room else subject.act[: room - 1] + "…"
    return head + act.replace("{", "(").replace("}", ")")


_ONE_ASKER: Final = """
select pg_advisory_xact_lock(lock) from (
    select hashtextextended('otp.ask:' || holder, 0) as lock
    from unnest($1::text[]) as holder order by lock) as in_order
"""

_MADE: Final = """
select holder_id, intent_id, created_at, pushed_at is not null as pushed from otp_challenges
where holder_id = any($1) and created_at > $2 order by created_at
"""

_REPLACE: Final = """
update otp_challenges set state = 'REPLACED' where intent_id = any($1) and state = 'OPEN'
"""

_ADD: Final = """
insert into otp_challenges (bank, created_at, id, holder_id, intent_id, tx_hash, key_sealed,
                            message, state, expires_at, channel)
select $1, $2, id, holder_id, intent_id, tx_hash, key_sealed, message, state, expires_at, channel
from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::bytea[], $7::bytea[], $8::text[], $9::text[],
            $10::timestamptz[], $11::text[])
     as fresh (id, holder_id, intent_id, tx_hash, key_sealed, message, state, expires_at, channel)
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


_COLUMNS: Final = """
id, intent_id, holder_id, tx_hash, key_sealed, message, tries, expires_at, channel, pushed_at
"""

_OPEN_OF_INTENTS: Final = f"""
select {_COLUMNS} from otp_challenges where intent_id = any($1) and state = 'OPEN'
"""  # noqa: S608 - constants


# sending: what the job that sends finds, and writes down


async def open_by_id(work: Work, challenge_id: UUID) -> Challenge | None:
    """The challenge while its code is good."""
    return await work.struct(Challenge, _OPEN_BY_ID, challenge_id, work.now)


async def went(work: Work, challenge_id: UUID, channel: Channel) -> None:
    """Write down that the code was pushed, or that it goes by SMS after all."""
    await work.execute(_WENT, challenge_id, channel, work.now)


_OPEN_BY_ID: Final = f"""
select {_COLUMNS} from otp_challenges where id = $1 and state = 'OPEN' and expires_at > $2
"""  # noqa: S608 - of constants

_WENT: Final = """
update otp_challenges
set channel = $2::text, pushed_at = case when $2::text = 'push' then $3::timestamptz end
where id = $1 and pushed_at is null
"""


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


async def forget(work: Work, before: datetime, most: int, spared: Sequence[UUID]) -> int:
    """Drop up to `most` codes made before a moment, but for those of intents spared; answers how
    many. None of them has been good for anything since two minutes after it was made."""
    tag = await work.execute(_FORGET, first_id_at(before + SKEW), before, spared, most)
    return int(tag.removeprefix("DELETE "))


_FORGET: Final = """
delete from otp_challenges where id in (
    select id from otp_challenges
    where id < $1 and created_at < $2 and intent_id <> all($3::uuid[])
    order by id limit $4 for update skip locked)
"""
