"""Who did or saw what, on whose behalf and why: rows that are only ever added.

Promise: written in the transaction of the act; when it cannot be written the act fails. Every
column is sealed. A row with `seen` tells of somebody looking at a holder's personal data: what was
seen, by whom, for which house, case and reason; it is made for the holder to read.
Tables owned: audit. Who calls: work (writing), support's timeline and the holder's feed (reading).
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from wallet.identifiers import HolderId
from wallet.writes import Write

Rows = Callable[..., Awaitable[list[Any]]]


class Note(Struct, frozen=True, kw_only=True):
    """One row. `on_behalf_of`: the house the actor works for, `bank:ACLEDA` or `agency:MCS`, or the
    person, `holder:<id>`; none: for themselves. `seen`: which personal data was looked at, as
    `name staff_no`; none: nothing of anybody was shown."""

    actor_kind: str
    actor_id: str
    bank: str | None
    act: str
    subject: str
    holder_id: HolderId | None
    reason: str | None
    case_number: str | None
    on_behalf_of: str | None = None
    seen: str | None = None


def written(notes: Sequence[Note], now: datetime) -> Write:
    """All notes of a Work, to be added."""
    columns = (
        [note.actor_kind for note in notes],
        [note.actor_id for note in notes],
        [note.bank for note in notes],
        [note.act for note in notes],
        [note.subject for note in notes],
        [note.holder_id for note in notes],
        [note.reason for note in notes],
        [note.case_number for note in notes],
        [note.on_behalf_of for note in notes],
        [note.seen for note in notes],
    )
    return Write(table="audit", sql=_INSERT, arguments=(now, *columns))


async def looks_at(
    rows: Rows, holder_id: HolderId, *, before: int | None = None, limit: int
) -> list[Any]:
    """Who looked at a holder's data, newest first, rows older than `before` (a `seq`) alone:
    whichever bank they belong to, as long as the holder stands behind the Work's wall."""
    return await rows(_LOOKS, holder_id, before, limit)


async def of_holder(rows: Rows, holder_id: HolderId, limit: int) -> list[Any]:
    """The newest `limit` rows that concern a holder, newest first."""
    return await rows(_OF_HOLDER, holder_id, limit)


_INSERT = """
insert into audit (at, actor_kind, actor_id, bank, act, subject, holder_id, reason, case_number,
                   on_behalf_of, seen)
select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[],
                         $8::text[], $9::text[], $10::text[], $11::text[])
"""

_OF_HOLDER = """
select seq, at, actor_kind, actor_id, act, subject, reason, case_number
from audit_of($1, null, false, $2)
"""

_LOOKS = """
select seq, at, actor_kind, actor_id, on_behalf_of, act, seen, reason, case_number
from audit_of($1, $2, true, $3)
"""
