"""One-time passwords: the holder's authenticator, and codes computed over one intent.

Promise: a code is accepted once. A sent code (8 digits) is HOTP over the intent's own canonical
bytes, under a key made for that one sending: it fits no other amount, payee or letter. An
authenticator's code (6 digits) is good for one step either side and never for a step already used;
one of ten recovery codes (10 digits) stands in for it once, only to replace it. Wrong, expired,
used, another intent's, never sent: one answer. Five wrong codes in a row, of any sort and over any
number of intents and new codes, lock the holder's codes for 30 minutes; the same request sent again
counts once. The way back is time, or card and PIN (a phone paired anew). All of that stands in
PostgreSQL and is decided in the transaction of the effect; Redis only turns wrong codes away
sooner, and fails closed. pyotp does the arithmetic.

Tables owned: otp_standing, one row a holder (sent codes lie with challenges).

    authenticator: NONE --enrol--> ENROLLED --first right code--> ACTIVE --enrol, confirm--> ACTIVE

Who calls: intents (judging and settling), authenticator (enrolment), pairings and unlocking.
"""

import hmac
import re
import secrets as chance
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.access import challenges, totp
from wallet.access.challenges import CODE_DIGITS, TRIES, Challenge, Gate, code_over
from wallet.events import SecurityNotice
from wallet.identifiers import HolderId, IntentId, Secret
from wallet.outcomes import Declined, Reason, Refused
from wallet.vault import Plain, Sealed, Unsealer, Vault, person_scope
from wallet.work import Work

FAILURES_TO_LOCK: Final = 5
LOCK: Final = timedelta(minutes=30)

RECOVERY_CODES: Final = 10
RECOVERY_DIGITS: Final = 10
SEEN_AT_MOST: Final = 8
"""So many wrong tries are remembered by their request."""

_CODE: Final = re.compile(r"[0-9]{6}|[0-9]{8}|[0-9]{10}")
_SECRETS: Final = ("totp_sealed", "totp_next_sealed")


class Presented(Struct, frozen=True, kw_only=True):
    """One caller's code for one intent; None when no code came along."""

    holder_id: HolderId
    intent_id: IntentId
    tx_hash: bytes
    code: Secret[str] | None
    gate: Gate
    signature: bytes
    awaited: bool = False
    """Judge by the authenticator that was enrolled and waits to be confirmed by this very code."""
    recoverable: bool = False
    """A recovery code is as good."""


class Judged(Struct, frozen=True, kw_only=True):
    """Whether a code was right, and what settling it will write down."""

    holder_id: HolderId
    verdict: Declined | Refused | None
    step: int | None = None
    challenge_id: UUID | None = None
    recovery: bytes | None = None
    request_id: bytes | None = None
    """Of a wrong try that counts."""

    @property
    def counted(self) -> bool:
        return self.request_id is not None


def well_formed(code: str) -> bool:
    """Six, eight or (to recover) ten ASCII digits; full-width and Khmer digits are no codes, though
    pyotp and `str.isdigit` take them."""
    return _CODE.fullmatch(code) is not None


# judging and settling: in the transaction of the effect


async def judge(work: Work, vault: Vault, presented: Sequence[Presented]) -> list[Judged]:
    """Decide each code in turn on locked rows; nothing is written until `settle`.

    Verdict None lets the act go on. Declines: OTP_WRONG, OTP_LOCKED. Refuses (as verdicts):
    OTP_REQUIRED, INVALID_REQUEST, OTP_NOT_ENROLLED, OTP_UNAVAILABLE.
    """
    assert work.bank is not None  # noqa: S101 - intents stand in one bank
    holders = sorted({one.holder_id for one in presented})
    await work.execute(_OPEN_STANDING, holders, work.bank)
    rows = await work.rows(_LOCK_STANDING, holders)
    gated = [one.intent_id for one in presented if one.gate in (Gate.PASSED, Gate.DEAD)]
    sent = await challenges.locked(work, gated)
    sealed = [row[column] for row in rows for column in _SECRETS if row[column]]
    unsealer = await vault.unsealer(work, [*sealed, *(one.key_sealed for one in sent.values())])
    keys = {
        intent_id: (one, unsealer.unseal(one.key_sealed, *one.place))
        for intent_id, one in sent.items()
    }
    pepper = vault.pepper("otp")
    standings = {row["holder_id"]: _Standing(row, unsealer, pepper) for row in rows}
    right: dict[IntentId, Judged] = {}
    judged = []
    for one in presented:
        # a code twice in one group for the same intent is a repeat, not a code used twice
        verdict = right.get(one.intent_id) or standings[one.holder_id].judge(
            one, keys.get(one.intent_id), work.now
        )
        if verdict.verdict is None:
            right[one.intent_id] = verdict
        judged.append(verdict)
    return judged


async def settle(work: Work, judged: Sequence[Judged]) -> None:
    """Write down what the codes came to: accepted steps, spent challenges, failures and locks."""
    right = [one for one in judged if one.verdict is None]
    wrong = [one for one in judged if one.counted]
    if right:
        await work.execute(
            _ACCEPT,
            [one.holder_id for one in right],
            [one.step or 0 for one in right],
            [one.recovery or b"" for one in right],
        )
        await challenges.spend(work, [one.challenge_id for one in right if one.challenge_id])
    if wrong:
        locked = await work.rows(
            _COUNT,
            [one.holder_id for one in wrong],
            FAILURES_TO_LOCK,
            work.now + LOCK,
            [one.request_id for one in wrong],
            SEEN_AT_MOST,
        )
        await challenges.count(work, [one.challenge_id for one in wrong if one.challenge_id])
        for row in locked:
            work.note("otp.locked", str(row["holder_id"]), holder_id=row["holder_id"])
            work.emit(SecurityNotice(holder_id=row["holder_id"], what="otp_locked"))


class _Standing:
    """One holder's row while a group is judged: each code sees what those before it did."""

    def __init__(self, row: Mapping[str, Any], unsealer: Unsealer, pepper: bytes) -> None:
        self._holder_id: HolderId = row["holder_id"]
        self._secrets = {
            column: unsealer.unseal(row[column], "otp_standing", column, self._holder_id)
            for column in _SECRETS
            if row[column]
        }
        self._last_step: int = row["totp_last_step"]
        self._failures: int = row["consecutive_failures"]
        self._locked_until: datetime | None = row["locked_until"]
        self._spent: set[UUID] = set()
        self._pepper = pepper
        self._recovery: list[bytes] = list(row["recovery"])
        self._wrong_seen: set[bytes] = set(row["wrong_seen"])

    def judge(
        self, one: Presented, sent: tuple[Challenge, Secret[bytes]] | None, now: datetime
    ) -> Judged:
        locked = self._locked(now)
        if locked is not None:
            return locked
        if one.code is None:
            return self._not(Refused(Reason.OTP_REQUIRED))
        code = one.code.reveal()
        if not well_formed(code):
            return self._not(Refused(Reason.INVALID_REQUEST, field="otp"))
        request_id = _request_id(self._pepper, one, code)
        if request_id in self._wrong_seen:
            return self._not(self._told_wrong())
        if one.awaited:
            return self._judge_totp(request_id, code, "totp_next_sealed", now)
        if len(code) == CODE_DIGITS:
            return self._judge_sent(request_id, one, code, sent, now)
        if len(code) == RECOVERY_DIGITS:
            return self._judge_recovery(request_id, one, code, now)
        return self._judge_totp(request_id, code, "totp_sealed", now)

    def _judge_recovery(
        self, request_id: bytes, one: Presented, code: str, now: datetime
    ) -> Judged:
        hashed = recovery_hash(self._pepper, self._holder_id, code)
        if not one.recoverable or not any(hmac.compare_digest(hashed, h) for h in self._recovery):
            return self._wrong(request_id, now, None)
        self._recovery.remove(hashed)
        self._failures = 0
        return Judged(holder_id=self._holder_id, verdict=None, recovery=hashed)

    def _judge_totp(self, request_id: bytes, code: str, column: str, now: datetime) -> Judged:
        secret = self._secrets.get(column)
        if secret is None:
            return self._not(Refused(Reason.OTP_NOT_ENROLLED))
        step = totp.matching_step(secret.reveal().decode("ascii"), code, now, offsets=(0, -1, 1))
        if step is None or step <= self._last_step:
            return self._wrong(request_id, now, None)
        self._last_step = step
        self._failures = 0
        return Judged(holder_id=self._holder_id, verdict=None, step=step)

    def _judge_sent(
        self,
        request_id: bytes,
        one: Presented,
        code: str,
        sent: tuple[Challenge, Secret[bytes]] | None,
        now: datetime,
    ) -> Judged:
        if one.gate is Gate.SPENT:
            return self._not(Refused(Reason.IN_FLIGHT))
        live = sent is not None and sent[0].expires_at > now and sent[0].tries < TRIES
        if one.gate in (Gate.SHUT, Gate.NOT_ASKED) or (one.gate is Gate.DEAD and live):
            # a code that is good as far as we know, and no gate to pass it through
            return self._not(Refused(Reason.OTP_UNAVAILABLE))
        if one.gate is not Gate.PASSED or sent is None or not live:
            return self._wrong(request_id, now, None)
        challenge, key = sent
        right = hmac.compare_digest(code_over(key.reveal(), one.tx_hash), code)
        bound = hmac.compare_digest(challenge.tx_hash, one.tx_hash)
        if not right or not bound or challenge.id in self._spent:
            return self._wrong(request_id, now, challenge.id)
        self._spent.add(challenge.id)
        self._failures = 0
        return Judged(holder_id=self._holder_id, verdict=None, challenge_id=challenge.id)

    def _locked(self, now: datetime) -> Judged | None:
        if self._locked_until is None or self._locked_until <= now:
            return None
        rest = int((self._locked_until - now).total_seconds()) + 1
        return self._not(Declined(reason=Reason.OTP_LOCKED, facts={"retry_after_s": rest}))

    def _wrong(self, request_id: bytes, now: datetime, challenge_id: UUID | None) -> Judged:
        self._failures += 1
        self._wrong_seen.add(request_id)
        if self._failures >= FAILURES_TO_LOCK:
            self._locked_until = now + LOCK
        return Judged(
            holder_id=self._holder_id,
            verdict=self._told_wrong(),
            challenge_id=challenge_id,
            request_id=request_id,
        )

    def _told_wrong(self) -> Declined:
        left = max(FAILURES_TO_LOCK - self._failures, 0)
        return Declined(reason=Reason.OTP_WRONG, facts={"tries_left": left})

    def _not(self, verdict: Declined | Refused) -> Judged:
        return Judged(holder_id=self._holder_id, verdict=verdict)


def _request_id(pepper: bytes, one: Presented, code: str) -> bytes:
    """What tells a request sent again from another try: its intent, signature and code, keyed."""
    text = b"|".join((b"try", one.intent_id.bytes, one.signature, code.encode()))
    return hmac.digest(pepper, text, "sha256")[:16]


def recovery_hash(pepper: bytes, holder_id: HolderId, code: str) -> bytes:
    """What is kept of a recovery code: of no use without the key, nor on another's row."""
    return hmac.digest(pepper, f"recovery|{holder_id}|{code}".encode(), "sha256")


_OPEN_STANDING: Final = """
insert into otp_standing (holder_id, bank) select unnest($1::uuid[]), $2
on conflict (holder_id) do nothing
"""

_LOCK_STANDING: Final = """
select holder_id, totp_sealed, totp_next_sealed, totp_last_step, consecutive_failures, locked_until,
       recovery, wrong_seen
from otp_standing where holder_id = any($1) order by holder_id for update
"""

# The step only ever grows, whatever was decided above: a code is good once.
_ACCEPT: Final = """
update otp_standing as standing
set consecutive_failures = 0, locked_until = null,
    totp_last_step = greatest(totp_last_step, accepted.step),
    recovery = array(select code from unnest(recovery) as code where code <> all (accepted.spent))
from (select holder_id, max(step) as step, array_agg(spent) as spent
      from unnest($1::uuid[], $2::bigint[], $3::bytea[]) as one (holder_id, step, spent)
      group by holder_id) as accepted
where standing.holder_id = accepted.holder_id
"""

# After a lock has passed the next wrong code locks again: only a right one starts the count anew.
_COUNT: Final = """
with counted as (
    update otp_standing as standing
    set consecutive_failures = consecutive_failures + wrong.times,
        locked_until = case when consecutive_failures + wrong.times >= $2 then $3
                       else locked_until end,
        wrong_seen = (wrong_seen || wrong.seen)[
            greatest(cardinality(wrong_seen || wrong.seen) - $5 + 1, 1):]
    from (select holder_id, count(*)::integer as times, array_agg(seen) as seen
          from unnest($1::uuid[], $4::bytea[]) as one (holder_id, seen) group by holder_id) as wrong
    where standing.holder_id = wrong.holder_id
    returning standing.holder_id, standing.consecutive_failures)
select holder_id from counted where consecutive_failures >= $2
"""


# the authenticator: enrolled by one intent, confirmed by another


async def enrol(
    work: Work, vault: Vault, holders: Sequence[HolderId]
) -> dict[HolderId, Secret[str]]:
    """A fresh authenticator secret for each holder, sealed; it counts for nothing until confirmed,
    and the one it would replace stays good until then."""
    assert work.bank is not None  # noqa: S101 - intents stand in one bank
    wanted = sorted(set(holders))
    secrets = {holder_id: totp.new_secret() for holder_id in wanted}
    sealed = await vault.seal_many(
        work,
        [
            Plain(
                scope=person_scope(holder_id),
                table="otp_standing",
                column="totp_next_sealed",
                row_id=holder_id,
                plaintext=secrets[holder_id].encode("ascii"),
            )
            for holder_id in wanted
        ],
    )
    await work.execute(_ENROL, wanted, work.bank, sealed)
    return {holder_id: Secret(secret) for holder_id, secret in secrets.items()}


async def unlock(work: Work, holder_id: HolderId) -> bool:
    """Forget the holder's wrong codes: they proved themselves by card and PIN, or to clerks. False
    when there were none."""
    return await work.execute(_UNLOCK, holder_id) == "UPDATE 1"


async def activate(
    work: Work, vault: Vault, holders: Sequence[HolderId]
) -> dict[HolderId, list[Secret[str]]]:
    """Make waiting authenticators the ones that count: their first code was just judged right.
    Answers each holder's ten fresh recovery codes; those of before are worth nothing any more.

    Refuses: OTP_NOT_ENROLLED (the whole group) when one does not wait any more.
    """
    rows = await work.rows(_LOCK_STANDING, sorted(set(holders)))
    if not rows or any(row["totp_next_sealed"] is None for row in rows):
        raise Refused(Reason.OTP_NOT_ENROLLED)
    column = "totp_next_sealed"
    places = [
        Sealed(sealed=row[column], table="otp_standing", column=column, row_id=row["holder_id"])
        for row in rows
    ]
    secrets = await vault.unseal_many(work, places)
    moved = [
        Plain(
            scope=person_scope(row["holder_id"]),
            table="otp_standing",
            column="totp_sealed",
            row_id=row["holder_id"],
            plaintext=secret.reveal(),
        )
        for row, secret in zip(rows, secrets, strict=True)
    ]
    sealed = await vault.seal_many(work, moved)
    pepper = vault.pepper("otp")
    fresh = {row["holder_id"]: _recovery_codes() for row in rows}
    kept = [(one, recovery_hash(pepper, one, code)) for one in fresh for code in fresh[one]]
    await work.execute(
        _ACTIVATE, list(fresh), sealed, [one for one, _ in kept], [hashed for _, hashed in kept]
    )
    for one in fresh:
        work.note("totp.confirm", str(one), holder_id=one)
    return {one: [Secret(code) for code in codes] for one, codes in fresh.items()}


def _recovery_codes() -> list[str]:
    drawn: set[str] = set()
    while len(drawn) < RECOVERY_CODES:
        drawn.add(f"{chance.randbelow(10**RECOVERY_DIGITS):0{RECOVERY_DIGITS}d}")
    return sorted(drawn)


async def have_authenticator(work: Work, holders: Sequence[HolderId]) -> set[HolderId]:
    """Which of these holders have a confirmed authenticator."""
    return {row["holder_id"] for row in await work.rows(_ACTIVE, list(holders))}


_UNLOCK: Final = """
update otp_standing set consecutive_failures = 0, locked_until = null
where holder_id = $1 and (consecutive_failures > 0 or locked_until is not null)
"""

_ENROL: Final = """
insert into otp_standing (holder_id, bank, totp_state, totp_next_sealed)
select holder_id, $2, 'ENROLLED', sealed
from unnest($1::uuid[], $3::bytea[]) as fresh (holder_id, sealed)
on conflict (holder_id) do update
set totp_next_sealed = excluded.totp_next_sealed,
    totp_state = case when otp_standing.totp_state = 'ACTIVE' then 'ACTIVE' else 'ENROLLED' end
"""

_ACTIVATE: Final = """
update otp_standing as standing
set totp_state = 'ACTIVE', totp_sealed = fresh.sealed, totp_next_sealed = null,
    recovery = array(select hashed from unnest($3::uuid[], $4::bytea[]) as code (holder_id, hashed)
                     where code.holder_id = fresh.holder_id)
from unnest($1::uuid[], $2::bytea[]) as fresh (holder_id, sealed)
where standing.holder_id = fresh.holder_id
"""

_ACTIVE: Final = """
select holder_id from otp_standing where holder_id = any($1) and totp_state = 'ACTIVE'
"""
