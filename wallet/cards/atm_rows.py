"""The rows of what ATMs asked for: the replay key that outlives every cache, and the tombstone.

Promise: one row a request (acquirer, terminal, RRN, STAN, local date), locked before anything is
decided about it.

Tables owned: atm_card_requests. Who calls: atm, undo.
"""

import enum
from datetime import date, datetime
from typing import Final

from msgspec import Struct

from wallet.cards.screens import Screen
from wallet.database import UniqueViolation
from wallet.identifiers import BankId, CardId, SmartIdId
from wallet.outcomes import Reason, Refused
from wallet.work import Work


class AtmKey(Struct, frozen=True, kw_only=True):
    """What names one request of one terminal, whoever retries it."""

    acquirer: BankId
    terminal: str
    rrn: str
    stan: str
    local_date: date


class Reversal(enum.StrEnum):
    CANCELLED = "CANCELLED"
    STAYS = "STAYS"
    NOTHING_TO_REVERSE = "NOTHING_TO_REVERSE"


class Row(Struct, frozen=True, kw_only=True):
    asked: bytes | None
    card_id: CardId | None
    declined: Reason | None
    screen: Screen | None
    reversal: Reversal | None
    printed_at: datetime | None


async def begin(work: Work, key: AtmKey, idempotency_key: str, asked: bytes) -> Row | None:
    """None when this request is new and its row is now ours; else the locked row of what came
    before.

    Refuses: CONFLICT when it stands in another bank's books, behind the wall;
    IDEMPOTENCY_KEY_REUSED when the key is another request's of this terminal.
    """
    try:
        if await work.value(_BEGIN, *_parts(key), work.bank, idempotency_key, asked, work.now):
            return None
    except UniqueViolation:
        raise Refused(Reason.IDEMPOTENCY_KEY_REUSED) from None
    return await _locked(work, key)


_BEGIN: Final = """
insert into atm_card_requests (acquirer, terminal, rrn, stan, local_date, bank, idempotency_key,
                               asked, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (acquirer, terminal, rrn, stan, local_date) do nothing
returning true
"""


async def tombstone(work: Work, key: AtmKey) -> Row | None:
    """None when nothing was asked under this key and now nothing can be; else the locked row.

    Refuses: as `begin`.
    """
    if await work.value(_TOMBSTONE, *_parts(key), work.bank, work.now):
        return None
    return await _locked(work, key)


_TOMBSTONE: Final = """
insert into atm_card_requests (acquirer, terminal, rrn, stan, local_date, bank, reversal,
                               reversed_at, at)
values ($1, $2, $3, $4, $5, $6, 'NOTHING_TO_REVERSE', $7, $7)
on conflict (acquirer, terminal, rrn, stan, local_date) do nothing
returning true
"""


async def found(work: Work, key: AtmKey) -> Row | None:
    """The locked row of a request or a tombstone; None where this bank's books have neither."""
    return await work.struct(Row, _LOCK, *_parts(key))


async def _locked(work: Work, key: AtmKey) -> Row:
    row = await found(work, key)
    if row is None:
        raise Refused(Reason.CONFLICT)
    return row


_LOCK: Final = """
select asked, card_id, declined, screen, reversal, printed_at from atm_card_requests
 where acquirer = $1 and terminal = $2 and rrn = $3 and stan = $4 and local_date = $5
   for no key update
"""


async def made(work: Work, key: AtmKey, smart_id_id: SmartIdId, card_id: CardId) -> None:
    await work.execute(_MADE, *_parts(key), smart_id_id, card_id)


_MADE: Final = """
update atm_card_requests set smart_id_id = $6, card_id = $7
 where acquirer = $1 and terminal = $2 and rrn = $3 and stan = $4 and local_date = $5
"""


async def declined(
    work: Work, key: AtmKey, smart_id_id: SmartIdId | None, reason: Reason, screen: Screen
) -> None:
    await work.execute(_DECLINED, *_parts(key), smart_id_id, reason.value, screen.value)


_DECLINED: Final = """
update atm_card_requests set smart_id_id = $6, declined = $7, screen = $8
 where acquirer = $1 and terminal = $2 and rrn = $3 and stan = $4 and local_date = $5
"""


async def came_late(work: Work, key: AtmKey, idempotency_key: str, asked: bytes) -> None:
    """The request behind a tombstone has come after all. Refuses: IDEMPOTENCY_KEY_REUSED."""
    try:
        await work.execute(_LATE, *_parts(key), idempotency_key, asked)
    except UniqueViolation:
        raise Refused(Reason.IDEMPOTENCY_KEY_REUSED) from None


_LATE: Final = """
update atm_card_requests set idempotency_key = $6, asked = $7
 where acquirer = $1 and terminal = $2 and rrn = $3 and stan = $4 and local_date = $5
"""


async def reversed_as(work: Work, key: AtmKey, result: Reversal) -> None:
    await work.execute(_REVERSED, *_parts(key), result.value, work.now)


_REVERSED: Final = """
update atm_card_requests set reversal = $6, reversed_at = $7
 where acquirer = $1 and terminal = $2 and rrn = $3 and stan = $4 and local_date = $5
"""


async def printed(work: Work, key: AtmKey) -> None:
    await work.execute(_PRINTED, *_parts(key), work.now)


_PRINTED: Final = """
update atm_card_requests set printed_at = $6
 where acquirer = $1 and terminal = $2 and rrn = $3 and stan = $4 and local_date = $5
"""


async def asked_since(work: Work, smart_id_id: SmartIdId, moment: datetime) -> int:
    """How many requests named this Smart ID after `moment`, declined ones counted."""
    times: int = await work.value(_ASKED_SINCE, smart_id_id, moment)
    return times


_ASKED_SINCE: Final = """
select count(*)::int from atm_card_requests where smart_id_id = $1 and at > $2
"""


async def by_idempotency_key(
    work: Work, acquirer: BankId, terminal: str, idempotency_key: str
) -> Row | None:
    return await work.struct(Row, _STATUS, acquirer, terminal, idempotency_key)


_STATUS: Final = """
select asked, card_id, declined, screen, reversal, printed_at from atm_card_requests
 where acquirer = $1 and terminal = $2 and idempotency_key = $3
"""


async def forget(work: Work, before: datetime, most: int) -> int:
    """Drop up to `most` requests and tombstones from before a moment; answers how many. One of them
    that came again would name a local date of then, which no request may any more."""
    tag = await work.execute(_FORGET, before, most)
    return int(tag.removeprefix("DELETE "))


_FORGET: Final = """
delete from atm_card_requests where (acquirer, terminal, rrn, stan, local_date) in (
    select acquirer, terminal, rrn, stan, local_date from atm_card_requests
    where at < $1 limit $2 for update skip locked)
"""


def _parts(key: AtmKey) -> tuple[BankId, str, str, str, date]:
    return (key.acquirer, key.terminal, key.rrn, key.stan, key.local_date)
