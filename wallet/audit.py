"""Who did or saw what, on whose behalf and why: rows that are only ever added.

Promise: written in the transaction of the act; when it cannot be written the act fails.
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
    actor_kind: str
    actor_id: str
    bank: str | None
    act: str
    subject: str
    holder_id: HolderId | None
    reason: str | None
    case_number: str | None


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
    )
    return Write(table="audit", sql=_INSERT, arguments=(now, *columns))


async def of_holder(rows: Rows, holder_id: HolderId, limit: int) -> list[Any]:
    """The newest `limit` rows that concern a holder, newest first."""
    return await rows(_OF_HOLDER, holder_id, limit)


_INSERT = """
insert into audit (at, actor_kind, actor_id, bank, act, subject, holder_id, reason, case_number)
select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[],
                         $8::text[], $9::text[])
"""

_OF_HOLDER = """
select seq, at, actor_kind, actor_id, act, subject, reason, case_number
from audit_of($1, null, $2)
"""
