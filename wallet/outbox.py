"""Events on their way out, in commit order.

Promise: an event is written with its fact. A follower reads only below `pg_snapshot_xmin`, so
nothing that commits late is skipped, and moves its position in the same transaction as its own
effect: each event has its effect exactly once, whatever is killed. PostgreSQL is the queue of
record; Redis only wakes followers and carries what is already stored to live streams.

Tables owned: events, event_positions. Who calls: work (writing), notifications (following).
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from wallet.events import Event
from wallet.identifiers import BankId, HolderId
from wallet.writes import Write, as_json

Rows = Callable[..., Awaitable[list[Any]]]


class Published(Struct, frozen=True, kw_only=True):
    """An event as a follower reads it. `seq` is unique; (xid, seq) is the order."""

    xid: int
    seq: int
    bank: BankId
    holder_id: HolderId
    at: datetime
    body: dict[str, Any]

    @property
    def event(self) -> Event:
        event: Event = msgspec.convert(self.body, Event, strict=False)
        return event


def written(bank: BankId | None, events: Sequence[Event], now: datetime) -> Write:
    """A Work's events, to be added."""
    columns = (
        [event.holder_id for event in events],
        [event.__struct_config__.tag for event in events],
        [as_json(event) for event in events],
    )
    return Write(table="events", sql=_INSERT, arguments=(bank or "*", now, *columns))


async def next_batch(rows: Rows, consumer: str, limit: int) -> list[Published]:
    """The next events after `consumer`'s position, locking the position until commit.

    A second follower of the same name waits for the first, so it never sees the same batch.
    """
    await rows(_ENSURE_POSITION, consumer)
    position = (await rows(_LOCK_POSITION, consumer))[0]
    found = await rows(_NEXT, position["xid"], position["seq"], limit)
    return [
        Published(
            xid=row["xid"],
            seq=row["seq"],
            bank=BankId(row["bank"]),
            holder_id=HolderId(row["holder_id"]),
            at=row["at"],
            body=row["body"],
        )
        for row in found
    ]


async def advance(rows: Rows, consumer: str, last: Published) -> None:
    """Move `consumer` past `last`; commits with the consumer's own effect."""
    await rows(_ADVANCE, consumer, str(last.xid), last.seq)


async def of_holder(rows: Rows, holder_id: HolderId, limit: int) -> list[Any]:
    """A holder's newest events, newest first, as (at, kind, body)."""
    return await rows(_OF_HOLDER, holder_id, limit)


_INSERT = """
insert into events (bank, at, holder_id, kind, body)
select $1, $2, e.holder_id, e.kind, e.body::jsonb
from unnest($3::uuid[], $4::text[], $5::text[]) as e (holder_id, kind, body)
"""

_ENSURE_POSITION = """
insert into event_positions (consumer, xid, seq) values ($1, '0', 0) on conflict do nothing
"""

_LOCK_POSITION = """
select xid::text, seq from event_positions where consumer = $1 for update
"""

_NEXT = """
select xid::text::bigint as xid, seq, bank, holder_id, at, body
from events
where (xid, seq) > ($1::text::xid8, $2)
  and xid < pg_snapshot_xmin(pg_current_snapshot())
order by xid, seq
limit $3
"""

_ADVANCE = "update event_positions set xid = $2::text::xid8, seq = $3 where consumer = $1"

_OF_HOLDER = """
select at, kind, body from events where holder_id = $1 order by xid desc, seq desc limit $2
"""
