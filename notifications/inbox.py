"""The inbox: what each holder was told, newest first, in the language they read now.

Promise: one entry per event, kept; words are made when read, so a change of language or of
wording reaches old entries too. Tables owned: inbox. Who calls: delivery, the phone door.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from notifications.catalogue import in_words
from wallet.events import Event
from wallet.identifiers import HolderId
from wallet.outbox import Published
from wallet.work import Work


class InboxEntry(Struct, frozen=True, kw_only=True):
    """`id` grows with each holder's entries: the cursor of pages and of the live stream."""

    id: int
    kind: str
    title: str
    text: str
    at: datetime


async def keep(work: Work, batch: Sequence[Published]) -> list[HolderId]:
    """Store a batch of events; answers whom to wake. An event already kept stays as it is."""
    rows = await work.rows(
        _KEEP,
        [published.bank for published in batch],
        [published.holder_id for published in batch],
        [published.seq for published in batch],
        [published.body for published in batch],
        [published.at for published in batch],
    )
    return [HolderId(row["holder_id"]) for row in rows]


async def newest(
    work: Work, holder_id: HolderId, language: str, *, before: int | None = None, limit: int = 50
) -> list[InboxEntry]:
    """The holder's entries older than `before`, newest first."""
    rows = await work.rows(_NEWEST, holder_id, before or 2**63 - 1, limit)
    return [_entry(row, language) for row in rows]


async def since(
    work: Work, holder_id: HolderId, language: str, *, after: int, limit: int = 100
) -> list[InboxEntry]:
    """The holder's entries after `after`, oldest first: what a live stream has yet to send."""
    rows = await work.rows(_SINCE, holder_id, after, limit)
    return [_entry(row, language) for row in rows]


async def last_id(work: Work, holder_id: HolderId) -> int:
    """The id of the holder's newest entry, 0 when there is none."""
    found: int = await work.value(_LAST_ID, holder_id)
    return found


async def forget(work: Work, holder_id: HolderId) -> None:
    """Take away all that an erased person was told."""
    await work.execute("delete from inbox where holder_id = $1", holder_id)


def _entry(row: dict[str, object], language: str) -> InboxEntry:
    event: Event = msgspec.convert(row["body"], Event, strict=False)
    notice = in_words(event, language)
    return InboxEntry(
        id=row["id"],  # type: ignore[arg-type]
        kind=str(event.__struct_config__.tag),
        title=notice.title,
        text=notice.text,
        at=row["at"],  # type: ignore[arg-type]
    )


_KEEP = """
insert into inbox (bank, holder_id, event_seq, body, at)
select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::jsonb[], $5::timestamptz[])
on conflict (event_seq) do nothing
returning holder_id
"""

_NEWEST = """
select id, body, at from inbox where holder_id = $1 and id < $2 order by id desc limit $3
"""

_SINCE = "select id, body, at from inbox where holder_id = $1 and id > $2 order by id limit $3"

_LAST_ID = "select coalesce(max(id), 0) from inbox where holder_id = $1"
