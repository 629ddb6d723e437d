"""Answers kept for a repeat: one key of one caller for one act has one effect and one answer.

Promise: key, effect and answer commit together; what is shown once is not kept. A refusal leaves
the key free, and so does a fault: no error is ever repeated. Keys are kept in clear, so a door
refuses one that tells a secret.

    key unseen       -> the act runs, its answer is stored in the same transaction
    key seen, same   -> the stored answer
    key seen, other  -> Refused idempotency_key_reused
    key in flight    -> waits for the lock, at most the lock time-out, then Refused in_flight
    key forgotten    -> as unseen: what the act itself refuses then stands in its own tables

Tables owned: idempotency. Who calls: work; retention (forgetting);
the doors (what is no key).
"""

import re
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from wallet.database import Record
from wallet.identifiers import luhn_valid
from wallet.outcomes import Outcome, Reason, Refused


class Transaction(Protocol):
    """What is needed of a Work, which stands above."""

    now: datetime

    async def value(self, sql: str, *arguments: Any) -> Any: ...

    async def row(self, sql: str, *arguments: Any) -> Record | None: ...

    async def execute(self, sql: str, *arguments: Any) -> str: ...


def tells_a_secret(key: str) -> bool:
    """Whether a key looks like what is never kept in clear: a code, a card's number. A UUID is
    neither, however many of its digits are decimal."""
    if _UUID.fullmatch(key):
        return False
    if _CODE.fullmatch(key):
        return True
    found = _CARD_NUMBER.findall(_GROUPED.sub("", key))
    return any(13 <= len(one) <= 19 and luhn_valid(one) for one in found)


async def claim(
    work: Transaction, caller: str, act: str, key: str, fingerprint: bytes
) -> Outcome | None:
    """Take a key for this transaction, or answer what was answered under it.

    Refuses: idempotency_key_reused (another fingerprint), in_flight.
    """
    if await work.value(_CLAIM, caller, act, key, fingerprint, work.now):
        return None
    seen = await work.row(_SEEN, caller, act, key)
    if seen is None or seen["answer"] is None:
        raise Refused(Reason.IN_FLIGHT)
    if seen["fingerprint"] != fingerprint:
        raise Refused(Reason.IDEMPOTENCY_KEY_REUSED)
    outcome: Outcome = msgspec.convert(seen["answer"], Outcome)
    return outcome


async def keep(work: Transaction, caller: str, act: str, key: str, outcome: Outcome) -> None:
    """Store the answer of a key that was claimed, without what is shown once."""
    stored = msgspec.to_builtins(outcome)
    stored.pop("secret", None)
    await work.execute(_KEEP, caller, act, key, stored)


async def forget(work: Transaction, before: datetime, most: int) -> int:
    """Drop up to `most` answers from before a moment; answers how many."""
    tag = await work.execute(_FORGET, before, most)
    return int(tag.removeprefix("DELETE "))


_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_CODE: Final = re.compile(r"[0-9]{6}|[0-9]{8}|[0-9]{10}")
_CARD_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z])(?:9116|[2-6])[0-9]{8,18}(?![0-9A-Za-z])")
_GROUPED: Final = re.compile(r"(?<=[0-9]{4})[ -](?=[0-9]{4}(?![0-9]))")

_CLAIM: Final = """
insert into idempotency (caller, act, key, fingerprint, at) values ($1, $2, $3, $4, $5)
on conflict do nothing returning true
"""

_SEEN: Final = (
    "select fingerprint, answer from idempotency where caller = $1 and act = $2 and key = $3"
)

_KEEP: Final = "update idempotency set answer = $4 where caller = $1 and act = $2 and key = $3"

_FORGET: Final = """
delete from idempotency where (caller, act, key) in (
    select caller, act, key from idempotency where at < $1 limit $2 for update skip locked)
"""
