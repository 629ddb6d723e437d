"""The versions of every sheet: what stands, what follows what. SQL and states, no more.

    (none)        --drafted---------------------------> DRAFT       decides nothing
    DRAFT         --put into shadow-------------------> SHADOW      asked of live purchases
    SHADOW        --promoted (a bank's: two people)---> LIVE        decides
    DRAFT, again  --promoted (a bank's: two people)---> LIVE        a copy of one that was LIVE
    (none)        --signed by the holder--------------> LIVE        a holder's own, at once
    LIVE          --the next one promoted-------------> PAST
    DRAFT, SHADOW --withdrawn-------------------------> WITHDRAWN

One LIVE and one SHADOW a subject, by unique index; words never change, and what is PAST or
WITHDRAWN stays so, by trigger; a bank's drafter never promotes, by constraint.

Tables owned: control_sheets. Who calls: rollout, setting, history, looking.
"""

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from wallet.controls.deciding import SetBy
from wallet.controls.sheets import ControlSheet
from wallet.identifiers import HolderId
from wallet.outcomes import Reason, Refused
from wallet.work import Work

HIGHEST_NUMBER: Final = 2**31 - 1
"""What the column holds."""


class State(enum.StrEnum):
    DRAFT = "DRAFT"
    SHADOW = "SHADOW"
    LIVE = "LIVE"
    PAST = "PAST"
    WITHDRAWN = "WITHDRAWN"


class Version(Struct, frozen=True, kw_only=True):
    """One version of one party's sheet; `body` is its JSON."""

    id: UUID
    set_by: SetBy
    subject: UUID
    version: int
    body: str
    state: State
    copied_from: int | None
    drafted_at: datetime
    drafted_by: str
    shadowed_at: datetime | None
    promoted_at: datetime | None
    promoted_by: str | None
    ended_at: datetime | None

    @property
    def sheet(self) -> ControlSheet:
        return msgspec.json.decode(self.body, type=ControlSheet)


class NewVersion(Struct, frozen=True, kw_only=True):
    """A version about to be written: a draft, or, `promoted_by` its holder, in force at once."""

    id: UUID
    set_by: SetBy
    subject: UUID
    version: int
    sheet: ControlSheet
    by: str
    holder_id: HolderId | None = None
    promoted_by: str | None = None
    copied_from: int | None = None


def body_of(sheet: ControlSheet) -> str:
    return msgspec.json.encode(sheet).decode()


async def by_id(work: Work, version_id: UUID, subject: UUID) -> Version:
    """One version of a subject, locked. Refuses: NOT_FOUND."""
    await work.execute(_LOCK, version_id)
    return await find(work, version_id, subject)


async def find(work: Work, version_id: UUID, subject: UUID) -> Version:
    """One version of a subject. Refuses: NOT_FOUND."""
    found = await work.struct(Version, f"{_VERSION} where id = $1", version_id)
    if found is None or found.subject != subject:
        raise Refused(Reason.NOT_FOUND)
    return found


async def numbered(work: Work, subjects: Sequence[UUID], numbers: Sequence[int]) -> list[Version]:
    """Versions by their subjects and numbers."""
    return await work.structs(Version, _NUMBERED, list(subjects), list(numbers))


async def in_shadow(work: Work, subject: UUID) -> Version | None:
    """The version of a subject that is in shadow."""
    return await work.struct(
        Version, f"{_VERSION} where subject = $1 and state = 'SHADOW'", subject
    )


async def in_force(
    work: Work, subjects: Sequence[UUID], *, locked: bool = False
) -> dict[UUID, Version]:
    """The version in force of each subject that has one, `locked` in order of subject."""
    rows = await work.structs(
        Version, _IN_FORCE + (" for update" if locked else ""), list(subjects)
    )
    return {row.subject: row for row in rows}


async def of_subject(
    work: Work, subject: UUID, before: int | None = None, limit: int = 50
) -> list[Version]:
    """A subject's versions, newest first; from below number `before` on when it is given."""
    return await work.structs(Version, _OF_SUBJECT, subject, before, limit)


async def next_number(work: Work, subject: UUID) -> int:
    """The number of a subject's next version; whoever asks is alone until their Work ends."""
    await work.execute(_ONE_AT_A_TIME, f"controls:{subject}")
    number: int = await work.value(_NEXT, subject)
    return number


def add(work: Work, fresh: Sequence[NewVersion]) -> None:
    """Write versions with the Work's next statement. Refuses: CONFLICT (somebody was quicker)."""
    if fresh:
        work.store(
            "control_sheets",
            _ADD,
            work.bank,
            work.now,
            *_columns(fresh),
            clash=Refused(Reason.CONFLICT, field="version"),
        )


def _columns(fresh: Sequence[NewVersion]) -> tuple[list[Any], ...]:
    return (
        [one.id for one in fresh],
        [one.set_by.value for one in fresh],
        [one.subject for one in fresh],
        [one.holder_id for one in fresh],
        [one.version for one in fresh],
        [body_of(one.sheet) for one in fresh],
        [one.by for one in fresh],
        [one.promoted_by for one in fresh],
        [one.copied_from for one in fresh],
    )


async def put_in_shadow(work: Work, version_id: UUID) -> None:
    _moved(await work.execute(_SHADOW, version_id, work.now))


async def withdraw(work: Work, version_id: UUID) -> None:
    _moved(await work.execute(_WITHDRAW, version_id, work.now))


async def replace(work: Work, past: Sequence[UUID]) -> None:
    """End the versions that were in force: others follow them in this Work."""
    if past:
        await work.execute(_END, list(past), work.now)


async def promote(work: Work, version_id: UUID, by: str) -> None:
    _moved(await work.execute(_PROMOTE, version_id, work.now, by))


def _moved(tag: str) -> None:
    if tag != "UPDATE 1":
        raise Refused(Reason.ILLEGAL_TRANSITION)


_VERSION: Final = """
select id, set_by, subject, version, body, state, copied_from, drafted_at, drafted_by, shadowed_at,
       promoted_at, promoted_by, ended_at
from control_sheets
"""

_LOCK: Final = "select from control_sheets where id = $1 for update"

_NUMBERED: Final = f"""{_VERSION}
join unnest($1::uuid[], $2::integer[]) as wanted (subject, version) using (subject, version)
"""

_IN_FORCE: Final = f"{_VERSION} where subject = any($1) and state = 'LIVE' order by subject"

_OF_SUBJECT: Final = f"""{_VERSION}
where subject = $1 and ($2::integer is null or version < $2) order by version desc limit $3
"""

_ONE_AT_A_TIME: Final = "select pg_advisory_xact_lock(hashtextextended($1, 0))"

_NEXT: Final = "select coalesce(max(version), 0) + 1 from control_sheets where subject = $1"

_ADD: Final = """
insert into control_sheets (bank, drafted_at, id, set_by, subject, holder_id, version, body, state,
                            drafted_by, promoted_at, promoted_by, copied_from)
select $1, $2, id, set_by, subject, holder_id, version, body,
       case when promoted_by is null then 'DRAFT' else 'LIVE' end, drafted_by,
       case when promoted_by is not null then $2::timestamptz end, promoted_by, copied_from
from unnest($3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::integer[], $8::text[], $9::text[],
            $10::text[], $11::integer[])
     as fresh (id, set_by, subject, holder_id, version, body, drafted_by, promoted_by, copied_from)
"""

_SHADOW: Final = """
update control_sheets set state = 'SHADOW', shadowed_at = $2 where id = $1 and state = 'DRAFT'
"""

_WITHDRAW: Final = """
update control_sheets set state = 'WITHDRAWN', ended_at = $2
where id = $1 and state in ('DRAFT', 'SHADOW')
"""

_END: Final = """
update control_sheets set state = 'PAST', ended_at = $2 where id = any($1) and state = 'LIVE'
"""

_PROMOTE: Final = """
update control_sheets set state = 'LIVE', promoted_at = $2, promoted_by = $3
where id = $1 and state in ('DRAFT', 'SHADOW')
"""
