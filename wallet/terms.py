"""Terms: what a bank's operations set (limits, fees, rates), kept as whole sheets over time.

Promise: a sheet in force is never changed, only followed by another; what held at any moment can
be read again. A sheet takes effect at the earliest `LEAD` after its approval, and no process
trusts what it remembers of the sheets for longer than `FRESH`: so every process changes over at
the very same moment, and a payment reads no sheet from the database.

    (none)   --proposed---------------------> waiting
    waiting  --another member approves------> approved, from its moment on in force
    waiting  --24 h (approvals)-------------> never
    in force --the next sheet's moment------> past

Tables owned: terms. Who calls: limits, fees, exchange (reading); proposals, seed (writing).
"""

import enum
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from wallet.database import UniqueViolation
from wallet.identifiers import new_id
from wallet.outcomes import Reason, Refused
from wallet.work import Work

T = TypeVar("T")

LEAD: Final = timedelta(seconds=60)
FRESH: Final = timedelta(seconds=20)
LOOKED_BACK: Final = timedelta(days=40)
"""How far back a process remembers sheets: longer than any hold, and any window that counts."""


class Sort(enum.StrEnum):
    LIMITS = "limits"
    FEES = "fees"
    RATES = "rates"


class Sheet(Struct, frozen=True, kw_only=True):
    """One sheet as stored. `body` is the JSON of its sort's own type."""

    id: UUID
    sort: Sort
    body: Any
    proposed_at: datetime
    proposed_by: str
    effective_from: datetime | None
    approved_at: datetime | None
    approved_by: str | None


class Term(Struct, Generic[T], frozen=True, kw_only=True):
    """A sheet in force from a moment on, made ready to use."""

    id: UUID
    effective_from: datetime
    what: T


class InForce(Generic[T]):
    """A bank's sheets of one sort, as one process remembers them."""

    def __init__(self, terms: Sequence[Term[T]], read_at: datetime) -> None:
        self._newest_first = sorted(terms, key=lambda term: term.effective_from, reverse=True)
        self.read_at = read_at

    def at(self, moment: datetime) -> Term[T] | None:
        """What holds at this moment; None before the first sheet."""
        for term in self._newest_first:
            if term.effective_from <= moment:
                return term
        return None


async def in_force(work: Work, sort: Sort, ready: Callable[[Any], T]) -> InForce[T]:
    """The Work's bank's sheets of one sort, each made ready once a process by `ready(body)`."""
    key = ("terms", work.bank, sort)
    known: InForce[T] | None = work.known.get(key)
    if known is not None and work.now < known.read_at + FRESH:
        return known
    rows = await work.rows(_IN_FORCE, work.bank, sort.value, work.now - LOOKED_BACK)
    # Sheets never change, so what was made ready before is still good.
    before = {} if known is None else {term.id: term for term in known._newest_first}
    found = [
        before.get(row["id"])
        or Term(id=row["id"], effective_from=row["effective_from"], what=ready(row["body"]))
        for row in rows
    ]
    # One that this very Work wrote may yet be rolled back, but is not in force before it is
    # forgotten again.
    remembered = work.known[key] = InForce(found, work.now)
    return remembered


async def propose(
    work: Work, sort: Sort, body: Any, *, effective_from: datetime | None, by: str
) -> Sheet:
    """Write a sheet down; it waits. Refuses: nothing."""
    sheet_id = new_id()
    await work.execute(
        _PROPOSE, sheet_id, work.bank, sort.value, body, work.now, by, effective_from
    )
    return await find(work, sheet_id)


async def establish(work: Work, sort: Sort, body: Any) -> None:
    """A bank's first sheet, at once: there was none before it that anybody could go by. Where
    there is one already, nothing. Refuses: nothing."""
    if await newest(work, sort) is None:
        await work.execute(_ESTABLISH, new_id(), work.bank, sort.value, body, work.now)


async def put_in_force(work: Work, sheet_id: UUID, *, by: str) -> Sheet:
    """Fix the moment a waiting sheet takes effect: the one wished, or as soon as may be.

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION (approved before); CONFLICT (`effective_from` is less
    than `LEAD` away by now, or not behind every approved sheet's: they follow one another).
    """
    sheet = await find(work, sheet_id)
    soonest = work.now + LEAD
    moment = sheet.effective_from or soonest
    last = await newest(work, sheet.sort)
    if last is not None and last.id != sheet_id and moment <= (last.effective_from or moment):
        raise Refused(Reason.CONFLICT, field="effective_from")
    if sheet.approved_at is None and moment < soonest:
        raise Refused(Reason.CONFLICT, field="effective_from", soonest=soonest.isoformat())
    try:
        tag = await work.execute(_PUT_IN_FORCE, sheet_id, moment, work.now, by)
    except UniqueViolation:
        raise Refused(Reason.CONFLICT, field="effective_from") from None
    if tag != "UPDATE 1":
        raise Refused(Reason.ILLEGAL_TRANSITION)
    return await find(work, sheet_id)


async def newest(work: Work, sort: Sort) -> Sheet | None:
    """The approved sheet that takes effect last. Whoever asks decides alone on the next one until
    their Work ends."""
    await work.execute(_ONE_AT_A_TIME, f"terms:{work.bank}:{sort}")
    return await work.struct(Sheet, _NEWEST, work.bank, sort.value)


async def find(work: Work, sheet_id: UUID) -> Sheet:
    """One sheet of the Work's bank. Refuses: NOT_FOUND."""
    sheet = await work.struct(Sheet, f"{_SHEET} where id = $1", sheet_id)
    if sheet is None:
        raise Refused(Reason.NOT_FOUND)
    return sheet


async def standing(work: Work, sort: Sort, limit: int = 20) -> list[Sheet]:
    """The sheet in force, those to come, and those that wait for approval: newest first."""
    return await work.structs(
        Sheet, _STANDING, work.bank, sort.value, work.now, work.now - timedelta(hours=24), limit
    )


_SHEET: Final = """
select id, sort, body, proposed_at, proposed_by, effective_from, approved_at, approved_by from terms
"""

_ONE_AT_A_TIME: Final = "select pg_advisory_xact_lock(hashtextextended($1, 0))"

_NEWEST: Final = f"""{_SHEET}
where bank = $1 and sort = $2 and approved_at is not null order by effective_from desc limit 1
"""

_IN_FORCE: Final = """
select id, body, effective_from from terms
where bank = $1 and sort = $2 and approved_at is not null
  and effective_from >= coalesce(
      (select max(effective_from) from terms
       where bank = $1 and sort = $2 and approved_at is not null and effective_from <= $3),
      '-infinity')
"""

_PROPOSE: Final = """
insert into terms (id, bank, sort, body, proposed_at, proposed_by, effective_from)
values ($1, $2, $3, $4, $5, $6, $7)
"""

_ESTABLISH: Final = """
insert into terms (id, bank, sort, body, proposed_at, proposed_by, effective_from, approved_at,
                   approved_by)
values ($1, $2, $3, $4, $5, 'programme', $5, $5, 'bank')
"""

_PUT_IN_FORCE: Final = """
update terms set effective_from = $2, approved_at = $3, approved_by = $4
where id = $1 and approved_at is null
"""

_STANDING: Final = f"""{_SHEET}
where bank = $1 and sort = $2 and (
    (approved_at is null and proposed_at > $4)
    or (approved_at is not null and effective_from >= coalesce(
        (select max(effective_from) from terms
         where bank = $1 and sort = $2 and approved_at is not null and effective_from <= $3),
        '-infinity')))
order by proposed_at desc, id desc limit $5
"""  # noqa: S608 - our own words
