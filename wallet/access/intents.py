"""Intents: the one way a phone does anything to money or credentials.

Promise: the server writes down what will happen, in its own words; the holder's device signs
exactly those bytes (and proves a one-time password where the policy asks); the effect and the
consumption of the intent are one transaction, so an intent has at most one effect, ever.

State table (intents.state):

    PENDING --authorised, effect done------> DONE       the answer is stored and repeated
    PENDING --authorised, effect declined--> DECLINED   the reason is stored and repeated
    PENDING --the fifth wrong try----------> DECLINED   wrong signatures and wrong codes alike
    PENDING --120 s after creation---------> EXPIRED    read so from the clock, never written
    PENDING --a wrong code or signature----> PENDING    one of five tries is gone

Tables owned: intents (their end: `forget`).

Who calls: the mobile door, through the teller, in groups of one kind. Domain rooms export
`IntentKind`s (`wallet.qr.PAY`) whose `prepare` and `authorise` are group functions.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.access import devices, drafts, otp, policy, signing
from wallet.access.challenges import Gate
from wallet.access.drafts import Draft
from wallet.access.kinds import (
    Asked,
    Authorise,
    Consumed,
    IntentKind,
    OtpPolicy,
    Prepare,
    Prepared,
)
from wallet.clock import day_of, midnight_of
from wallet.database import Record
from wallet.identifiers import SKEW, DeviceId, HolderId, IntentId, Secret, first_id_at
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, GroupAnswer, Reason, Refused
from wallet.teller import FIRST_STEP_S, Lane
from wallet.vault import Vault
from wallet.work import ActorKind, Work

__all__ = [
    "Asked",
    "Authorise",
    "Authorising",
    "Consumed",
    "IntentKind",
    "OtpPolicy",
    "Prepare",
    "Prepared",
    "authorise_lane",
    "prepare_lane",
]

TRIES: Final = 5


class Authorising(Struct, frozen=True, kw_only=True):
    """One caller's factors for one intent. `gate` is what Redis said of a sent code."""

    intent_id: IntentId
    holder_id: HolderId
    device_id: DeviceId
    signature: bytes
    code: Secret[str] | None = None
    gate: Gate = Gate.NOT_ASKED


# preparing


def prepare_lane(kind: IntentKind) -> Lane[Asked]:
    """The lane that writes intents of this kind down and answers what to show and to sign.

    Answers: Done, its answer the wire form of the intent. Refuses: what the kind's room refuses.
    """

    asks = policy.of_kind(kind)

    async def act(work: Work, asked: Sequence[Asked]) -> Sequence[GroupAnswer]:
        return await _prepare(work, kind, asks, asked)

    name = f"intent.prepare:{kind.name}"
    return Lane(name, act, caller=ActorKind.DEVICE, patience_s=FIRST_STEP_S)


async def _prepare(
    work: Work, kind: IntentKind, asks: OtpPolicy, asked: Sequence[Asked]
) -> Sequence[GroupAnswer]:
    prepared = await kind.prepare(work, asked)
    fresh = [
        Draft(kind, asks, one, what, work.now) if isinstance(what, Prepared) else what
        for one, what in zip(asked, prepared, strict=True)
    ]
    written = [one for one in fresh if isinstance(one, Draft)]
    if written:
        moments = work.now, written[0].expires_at
        work.store("intents", _INSERT, work.bank, kind.name, *moments, *drafts.columns(written))
    coded = [one.asked.holder_id for one in written if one.otp_needed]
    enrolled = await otp.have_authenticator(work, coded) if coded else set()
    return [
        Done(answer=one.wire(has_authenticator=one.asked.holder_id in enrolled))
        if isinstance(one, Draft)
        else one
        for one in fresh
    ]


_INSERT: Final = """
insert into intents (bank, kind, created_at, expires_at, id, holder_id, device_id, plan, text_en,
                     text_km, facts, amount_minor, currency, payee, nonce, tx_hash, otp_needed,
                     cooling)
select $1, $2, $3, $4, id, holder_id, device_id, plan::jsonb, text_en, text_km, facts::jsonb,
       amount_minor, currency, payee, nonce, tx_hash, otp_needed, cooling
from unnest($5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::text[], $10::text[],
            $11::text[], $12::bigint[], $13::text[], $14::text[], $15::bytea[], $16::bytea[],
            $17::boolean[], $18::boolean[])
     as fresh (id, holder_id, device_id, plan, text_en, text_km, facts, amount_minor, currency,
               payee, nonce, tx_hash, otp_needed, cooling)
"""


# authorising


def authorise_lane(kind: IntentKind, vault: Vault) -> Lane[Authorising]:
    """The lane that consumes intents of this kind, each with its effect, in one transaction.

    Answers: the effect's own; the stored one on a repeat (its secret part gone). Declines, leaving
    the intent PENDING until the fifth: SIGNATURE_INVALID, OTP_WRONG; OTP_LOCKED; OTP_REQUIRED when
    what went before has come to ask for a code since it was prepared. Refuses: NOT_FOUND,
    INTENT_EXPIRED, DEVICE_NOT_ACTIVE, LIMIT_EXCEEDED (cooling off), OTP_REQUIRED, OTP_NOT_ENROLLED,
    OTP_UNAVAILABLE, IN_FLIGHT, and what the kind's room refuses.
    """

    async def act(work: Work, asked: Sequence[Authorising]) -> Sequence[GroupAnswer]:
        return await _Consuming(work, kind, vault, asked).run()

    return Lane(f"intent.authorise:{kind.name}", act, caller=ActorKind.DEVICE)


class _Consuming:
    """One group of intents being consumed: lock, decide each, take effect together, write."""

    def __init__(
        self, work: Work, kind: IntentKind, vault: Vault, asked: Sequence[Authorising]
    ) -> None:
        self._work = work
        self._kind = kind
        self._policy = policy.of_kind(kind)
        self._vault = vault
        self._asked = asked
        self._rows: dict[IntentId, Record] = {}
        self._own: dict[int, GroupAnswer] = {}
        """Answers that concern one member of the group alone, by place."""
        self._leaders: dict[IntentId, int] = {}
        """Which member brought an intent's right factors first: others of it get its answer."""
        self._answers: dict[IntentId, GroupAnswer] = {}
        self._wrong: dict[IntentId, list[Declined]] = {}
        self._judged: dict[int, otp.Judged] = {}
        self._unproven: dict[tuple[DeviceId, str], int] = {}
        """What each phone moved on signatures alone, this group's own with it."""
        self._raised: set[IntentId] = set()
        """Intents shown as needing no code, which by now need one."""
        self._locked_at = work.now
        """When the last row was held: whoever held it before may have been told it was over."""

    async def run(self) -> list[GroupAnswer]:
        wanted = sorted({one.intent_id for one in self._asked})
        for row in await self._work.rows(_LOCK, wanted):
            self._rows[row["id"]] = row
            self._locked_at = self._work.moment(row["locked_at"])
        await self._check_codes(self._check_signatures())
        self._drop_worn_out()
        await self._check_cooling()
        await self._take_effect()
        await self._write()
        return [self._answer(place) for place in range(len(self._asked))]

    def _check_signatures(self) -> list[int]:
        """Answers the places signed rightly that also need a right code."""
        coded = []
        for place, one in enumerate(self._asked):
            row = self._rows.get(one.intent_id)
            standing = decide_standing(self._kind.name, row, one, self._locked_at)
            if standing is not None or row is None:
                self._own[place] = standing or Refused(Reason.NOT_FOUND)
            elif one.intent_id in self._leaders:
                continue
            elif not signing.signed_by(row["public_key"], one.signature, digest_of(row)):
                self._count_wrong(place, Declined(reason=Reason.SIGNATURE_INVALID))
            elif row["otp_needed"] or self._asks_by_now(row):
                coded.append(place)
            else:
                self._leaders[one.intent_id] = place
        return coded

    def _asks_by_now(self, row: Record) -> bool:
        """Whether what this phone did since the intent was shown has come to ask for a code."""
        money, until = money_of(row), row["cooling_until"]
        if money is None:
            return False
        key = (row["device_id"], row["currency"])
        moved = self._unproven.get(key, row[devices.UNPROVEN[money.currency]])
        cooling = until is not None and until > self._work.now
        if self._policy.asks_after(moved, money, cooling=cooling):
            self._raised.add(row["id"])
            return True
        self._unproven[key] = moved + money.minor
        return False

    async def _check_codes(self, places: Sequence[int]) -> None:
        if not places:
            return
        presented = [
            otp.Presented(
                holder_id=one.holder_id,
                intent_id=one.intent_id,
                tx_hash=digest_of(self._rows[one.intent_id]),
                code=one.code,
                gate=one.gate,
                signature=one.signature,
                awaited=self._kind.awaited,
                recoverable=self._kind.recoverable,
            )
            for one in (self._asked[place] for place in places)
        ]
        judged = await otp.judge(self._work, self._vault, presented)
        for place, verdict in zip(places, judged, strict=True):
            intent_id = self._asked[place].intent_id
            if verdict.verdict is None:
                if self._leaders.setdefault(intent_id, place) == place:
                    self._judged[place] = verdict
                continue
            self._judged[place] = verdict
            if verdict.counted and isinstance(verdict.verdict, Declined):
                self._count_wrong(place, verdict.verdict)
            elif intent_id in self._raised and _asks_for_code(verdict.verdict):
                # a decision that stays: the intent may have a code sent for it now
                self._own[place] = Declined(reason=Reason.OTP_REQUIRED)
            else:
                self._own[place] = verdict.verdict

    def _count_wrong(self, place: int, declined: Declined) -> None:
        intent_id = self._asked[place].intent_id
        self._own[place] = declined
        self._wrong.setdefault(intent_id, []).append(declined)

    def _drop_worn_out(self) -> None:
        """An intent whose tries are used up within this very group takes no effect any more."""
        for intent_id, wrong in self._wrong.items():
            if self._rows[intent_id]["tries"] + len(wrong) >= TRIES:
                self._answers[intent_id] = wrong[-1]

    async def _check_cooling(self) -> None:
        money: dict[DeviceId, list[IntentId]] = {}
        for intent_id in self._going():
            row = self._rows[intent_id]
            until = row["cooling_until"]
            if until is not None and until > self._work.now and row["amount_minor"] is not None:
                money.setdefault(row["device_id"], []).append(intent_id)
        if not money:
            return
        midnight = midnight_of(day_of(self._work.now))
        await self._work.execute(_LOCK_DEVICES, sorted(money))
        moved = {
            (row["device_id"], row["currency"]): int(row["moved"])
            for row in await self._work.rows(_MOVED, list(money), midnight)
        }
        limits = self._policy.cooling_limit_minor
        for device_id, intent_ids in money.items():
            for intent_id in intent_ids:
                row = self._rows[intent_id]
                key = (device_id, row["currency"])
                moved[key] = moved.get(key, 0) + row["amount_minor"]
                if moved[key] > limits[Currency(row["currency"])]:
                    moved[key] -= row["amount_minor"]
                    self._answers[intent_id] = Declined(
                        reason=Reason.LIMIT_EXCEEDED, facts={"limit": "cooling_off"}
                    )

    def _going(self) -> list[IntentId]:
        return [intent_id for intent_id in self._leaders if intent_id not in self._answers]

    async def _take_effect(self) -> None:
        going = self._going()
        if not going:
            return
        consumed = [_consumed(self._rows[intent_id], self._work) for intent_id in going]
        answers = await self._kind.authorise(self._work, consumed)
        self._answers.update(zip(going, answers, strict=True))

    async def _write(self) -> None:
        worn_out = {i for i, wrong in self._wrong.items() if self._answers.get(i) is wrong[-1]}
        tried = [(i, len(wrong)) for i, wrong in self._wrong.items()]
        if tried:
            await self._work.execute(_TRIED, [i for i, _ in tried], [times for _, times in tried])
            for intent_id in self._wrong:
                holder_id = self._rows[intent_id]["holder_id"]
                self._work.note("intent.wrong_try", str(intent_id), holder_id=holder_id)
        resolved = [(i, a) for i, a in self._answers.items() if not isinstance(a, Refused)]
        if resolved:
            # Behind held rows each is PENDING still; were one not, an effect would stand twice.
            self._work.store(
                "intents",
                _RESOLVE,
                self._work.now,
                *drafts.resolutions(resolved),
                rows=len(resolved),
            )
        raised = [i for i in self._raised if i not in self._answers]
        if raised:
            await self._work.execute(_RAISE, raised)
        self._tally()
        settling = [
            judged
            for place, judged in self._judged.items()
            if judged.verdict is not None or self._consumed(place, worn_out)
        ]
        if settling:
            await otp.settle(self._work, settling)

    def _tally(self) -> None:
        """What went on signatures alone is added up by phone; a right code begins the sum anew."""
        sums: dict[DeviceId, devices.Unproven] = {}
        for intent_id, place in self._leaders.items():
            row, money = self._rows[intent_id], money_of(self._rows[intent_id])
            if not isinstance(self._answers.get(intent_id), Done):
                continue
            of_phone = sums.setdefault(row["device_id"], devices.Unproven())
            if place in self._judged:
                of_phone.proven = of_phone.proven or bool(
                    row["unproven_khr"] or row["unproven_usd"]
                )
            elif money is not None and money.currency in self._policy.cumulative_minor:
                of_phone.add(money)
        devices.tally(self._work, sums, self._policy.cumulative_minor)

    def _consumed(self, place: int, worn_out: set[IntentId]) -> bool:
        """Whether a right code is used up: not by an effect that was refused, since then nothing
        happened, nor on an intent that was over."""
        intent_id = self._asked[place].intent_id
        refused = isinstance(self._answers.get(intent_id), Refused)
        return not refused and intent_id not in worn_out

    def _answer(self, place: int) -> GroupAnswer:
        own = self._own.get(place)
        if own is not None:
            return own
        intent_id = self._asked[place].intent_id
        answer = self._answers[intent_id]
        if isinstance(answer, Done) and self._leaders[intent_id] != place:
            return Done(answer=answer.answer)
        return answer


async def forget(work: Work, before: datetime, most: int, spared: Sequence[UUID]) -> int:
    """Drop up to `most` intents made before a moment, but for those spared; answers how many.
    Authorising one of them is NOT_FOUND from then on, and nobody waits for a row in use."""
    tag = await work.execute(_FORGET, first_id_at(before + SKEW), before, spared, most)
    return int(tag.removeprefix("DELETE "))


def decide_standing(
    kind: str, row: Record | None, one: Authorising, now: datetime
) -> GroupAnswer | None:
    """What an intent answers before any factor is looked at; None when it may be authorised now.

    Somebody else's intent, another phone's or one of another kind is as good as none.
    """
    theirs = row is not None and (row["holder_id"], row["device_id"], row["kind"]) == (
        one.holder_id,
        one.device_id,
        kind,
    )
    if row is None or not theirs:
        return Refused(Reason.NOT_FOUND)
    if row["state"] == "DONE":
        return Done(answer=row["answer"])
    if row["state"] == "DECLINED":
        return Declined(reason=Reason(row["reason"]), facts=row["reason_facts"] or {})
    if row["expires_at"] <= now:
        return Refused(Reason.INTENT_EXPIRED)
    if row["device_state"] != "ACTIVE":
        return Refused(Reason.DEVICE_NOT_ACTIVE)
    return None


def digest_of(row: Record) -> bytes:
    """The SHA-256 of the canonical bytes, laid out anew from what stands in the row: whatever was
    changed there since it was shown, no signature and no code fits any more."""
    canonical = signing.transaction(
        intent_id=row["id"],
        kind=row["kind"],
        holder_id=row["holder_id"],
        device_id=row["device_id"],
        money=money_of(row),
        payee=row["payee"],
        text_en=row["text_en"],
        text_km=row["text_km"],
        nonce=row["nonce"],
        expires_at=row["expires_at"],
    )
    return hashlib.sha256(canonical).digest()


def _asks_for_code(verdict: Declined | Refused | None) -> bool:
    return isinstance(verdict, Refused) and verdict.reason is Reason.OTP_REQUIRED


def money_of(row: Record) -> Money | None:
    if row["amount_minor"] is None:
        return None
    return Money(row["amount_minor"], Currency(row["currency"]))


def _consumed(row: Record, work: Work) -> Consumed:
    return Consumed(
        intent_id=row["id"],
        holder_id=row["holder_id"],
        device_id=row["device_id"],
        device_key=row["public_key"],
        bank=row["bank"],
        money=money_of(row),
        payee=row["payee"],
        plan=row["plan"],
        now=work.now,
    )


# The clock is read outside of what locks, row by row as each is held: within, it would be read
# before the wait.
_LOCK: Final = """
with held as materialized (
select i.id, i.bank, i.holder_id, i.device_id, i.kind, i.plan, i.text_en, i.text_km,
       i.amount_minor, i.currency, i.payee, i.nonce, i.otp_needed, i.tries, i.state, i.answer,
       i.reason, i.reason_facts, i.expires_at, d.public_key, d.state as device_state,
       d.cooling_until, d.unproven_khr, d.unproven_usd
from intents i join devices d on d.id = i.device_id
where i.id = any($1) order by i.id for update of i
)
select *, clock_timestamp() as locked_at from held
"""

# Ids sort by the time they were made, so the oldest are found without an index of their own.
_FORGET: Final = """
delete from intents where id in (
    select id from intents where id < $1 and created_at < $2 and id <> all($3::uuid[])
    order by id limit $4 for update skip locked)
"""

_RAISE: Final = "update intents set otp_needed = true where id = any($1) and state = 'PENDING'"

_LOCK_DEVICES: Final = "select from devices where id = any($1) order by id for update"

_MOVED: Final = """
select device_id, currency, sum(amount_minor) as moved from intents
where cooling and device_id = any($1) and created_at >= $2 and state = 'DONE'
  and amount_minor is not null
group by device_id, currency
"""

_TRIED: Final = """
update intents as intent set tries = least(tries + wrong.times, 5)
from unnest($1::uuid[], $2::integer[]) as wrong (id, times)
where intent.id = wrong.id and intent.state = 'PENDING'
"""

_RESOLVE: Final = """
update intents as intent
set state = fresh.state, answer = fresh.answer::jsonb, reason = fresh.reason,
    reason_facts = fresh.reason_facts::jsonb, resolved_at = $1
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
    as fresh (id, state, answer, reason, reason_facts)
where intent.id = fresh.id and intent.state = 'PENDING'
"""
