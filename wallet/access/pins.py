"""The app's PIN: six digits that prove, beside the device's key, who holds the phone.

Promise: a PIN is kept as argon2id over a keyed hash whose key is not in the database; five wrong
ones in a row rest the PIN for a while, twice as long each further five, counted in PostgreSQL under
a row lock; obvious PINs are not taken. A new PIN comes only with a newly confirmed phone.

Tables owned: pins. Who calls: pairings (setting), sessions (proving), unlocking.
"""

import hmac
import re
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from msgspec import Struct

from wallet.access.hashing import Hashing
from wallet.events import SecurityNotice
from wallet.identifiers import BankId, HolderId, Secret
from wallet.outcomes import Reason, Refused
from wallet.vault import Vault
from wallet.work import Work

FAILURES_TO_LOCK: Final = 5
FIRST_LOCK: Final = timedelta(minutes=30)
LONGEST_LOCK: Final = timedelta(hours=24)
_SIX_DIGITS: Final = re.compile(r"[0-9]{6}")
_WALKED: Final = frozenset({
    "102030", "112358", "123654", "142536", "147258", "147852", "159357", "159753",
    "246810", "258369", "357159", "357951", "369258", "456123", "456852", "654987",
    "741852", "741963", "753159", "753951", "789456", "852147", "951357", "951753",
    "963852",
})  # fmt: skip
"""Columns, rows and diagonals of a keypad, and what is tried right after them."""


class Pin(Struct, frozen=True, kw_only=True):
    """One holder's PIN as it lies in the table."""

    encoded: str
    failures: int
    locked_until: datetime | None


async def encode(vault: Vault, hashing: Hashing, holder_id: HolderId, pin: Secret[str]) -> str:
    """The PIN as it is kept; off the event loop, about 32 ms. Refuses: PIN_WEAK, BUSY."""
    decide_strength(pin.reveal())
    return await hashing.hash(_keyed(vault, holder_id, pin))


async def matches(
    vault: Vault, hashing: Hashing, holder_id: HolderId, encoded: str | None, pin: Secret[str]
) -> bool:
    """Whether this is the PIN behind `encoded`; None takes as long and is false. Refuses: BUSY."""
    return await hashing.matches(encoded, _keyed(vault, holder_id, pin))


async def put(work: Work, bank: BankId, holder_id: HolderId, encoded: str) -> None:
    """Set the holder's PIN and forget the failures of the one before. Refuses: nothing."""
    await work.execute(_PUT, holder_id, bank, encoded, work.now)
    work.note("pin.set", str(holder_id), holder_id=holder_id)


async def locked(work: Work, holder_id: HolderId) -> Pin | None:
    """The holder's PIN row, held against parallel tries until the Work ends."""
    return await work.struct(Pin, _LOCK, holder_id)


async def count(work: Work, holder_id: HolderId, pin: Pin, *, right: bool) -> bool:
    """Write down one try on a row from `locked`; whether it is let through.

    A right PIN on a resting row is not: of guesses sent at once, those after the fifth wrong one
    learn nothing.
    """
    if pin.locked_until is not None and pin.locked_until > work.now:
        return False
    if right:
        if pin.failures:
            await work.execute(_COUNT, holder_id, 0, None)
        return True
    failures = pin.failures + 1
    rest = decide_lock(failures)
    locked_until = work.now + rest if rest else None
    await work.execute(_COUNT, holder_id, failures, locked_until)
    if locked_until is not None:
        work.note("pin.locked", str(holder_id), holder_id=holder_id)
        work.emit(SecurityNotice(holder_id=holder_id, what="pin_locked"))
    return False


async def free(work: Work, holder_id: HolderId) -> bool:
    """Forget the holder's wrong PINs: they proved themselves by card and PIN. False when there were
    none."""
    return await work.execute(_FREE, holder_id) == "UPDATE 1"


def decide_strength(pin: str) -> None:
    """Refuses: PIN_WEAK for what is not six ASCII digits, runs (123456, 987654), one digit, two
    alternating, a half repeated or mirrored, and what fingers walk on a keypad."""
    if not _SIX_DIGITS.fullmatch(pin):
        raise Refused(Reason.PIN_WEAK)
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    repeats = pin[:3] == pin[3:] or pin[:2] * 3 == pin or pin[:3] == pin[:2:-1]
    pairs = pin[0] == pin[1] and pin[2] == pin[3] and pin[4] == pin[5]
    if steps in ({0}, {1}, {9}) or repeats or pairs or pin in _WALKED:
        raise Refused(Reason.PIN_WEAK)


def decide_lock(failures: int) -> timedelta | None:
    """How long a PIN rests after this many failures in a row: each fifth one doubles it."""
    if failures % FAILURES_TO_LOCK:
        return None
    doubled: int = 2 ** min(failures // FAILURES_TO_LOCK - 1, 10)
    return min(FIRST_LOCK * doubled, LONGEST_LOCK)


def _keyed(vault: Vault, holder_id: HolderId, pin: Secret[str]) -> bytes:
    # bound to the person: a hash copied onto another row proves nothing there
    return hmac.digest(vault.pepper("pin"), f"{pin.reveal()}|{holder_id}".encode(), "sha256")


_PUT: Final = """
insert into pins (holder_id, bank, encoded, changed_at) values ($1, $2, $3, $4)
on conflict (holder_id) do update
set encoded = excluded.encoded, failures = 0, locked_until = null, changed_at = excluded.changed_at
"""

_LOCK: Final = """
select encoded, failures, locked_until from pins where holder_id = $1 for update
"""

_COUNT: Final = """
update pins set failures = $2, locked_until = $3 where holder_id = $1
"""

_FREE: Final = """
update pins set failures = 0, locked_until = null
where holder_id = $1 and (failures > 0 or locked_until is not null)
"""
