"""What a holder and support see of purchases: lists, one with all its events, search, cases.

Promise: newest first by an order that never shifts; the status is that of the moment of reading,
whatever jobs are late; never more than a card's last four. Who calls: the phones' and support's
doors, disputes.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.authorisations.records import (
    PURCHASE_AND_EVENT,
    Case,
    Cause,
    Event,
    Purchase,
    event_of,
    purchase_of,
)
from wallet.authorisations.states import Standing, Status, status_of
from wallet.database import Record
from wallet.identifiers import HolderId, TransferId
from wallet.money import Currency, Money
from wallet.outcomes import Reason, Refused
from wallet.work import Work


class Told(Struct, frozen=True, kw_only=True):
    """A purchase with some of its events: all of them, or the first and the last."""

    purchase: Purchase
    events: list[Event]

    @property
    def standing(self) -> Standing:
        return self.events[-1].standing

    def status(self, moment: datetime) -> Status:
        return status_of(self.standing, moment)

    @property
    def asked(self) -> Money:
        """What was first asked for, in the currency that is settled."""
        first = self.events[0]
        return Money(first.settlement_minor, Currency(first.settlement_currency))

    @property
    def cardholder(self) -> Money:
        """What it costs the holder, as far as it stands: held and paid, less what came back."""
        now = self.standing
        minor = now.held_minor + now.paid_minor - now.returned_minor
        return Money(minor, now.wallet)


async def of_holder(
    work: Work,
    holder_id: HolderId,
    *,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Told]:
    """A holder's purchases, newest first; `before`: the moment and id of the last one seen."""
    at, last = before or (_FOREVER, _LAST_ID)
    return _told(await work.rows(_OF_HOLDER, holder_id, at, last, limit))


async def find(work: Work, authorisation_id: UUID) -> Told:
    """One purchase with everything that happened to it. Refuses: NOT_FOUND."""
    found = _told(await work.rows(_ONE, authorisation_id))
    if not found:
        raise Refused(Reason.NOT_FOUND)
    return found[0]


async def by_key(work: Work, key: str, limit: int = 20) -> list[Told]:
    """Purchases by the network's own words: a whole key, or the reference number in it."""
    return _told(await work.rows(_BY_KEY, key, limit))


async def cases(
    work: Work, *, before: int | None = None, limit: int = 50, open_only: bool = False
) -> list[tuple[int, Case]]:
    """What somebody must look at, newest first, each with its number. `open_only`: what nobody
    has closed."""
    rows = await work.rows(_CASES, before, limit, open_only)
    return [(row["seq"], _case(row)) for row in rows]


async def cases_of(work: Work, authorisation_id: UUID) -> list[Case]:
    return [_case(row) for row in await work.rows(_CASES_OF, authorisation_id)]


async def taken_by(work: Work, holder_id: HolderId, authorisation_id: UUID) -> TransferId | None:
    """The transfer that last took money for a purchase of this holder's: what is disputed when the
    purchase is named."""
    found: UUID | None = await work.value(_TAKEN_BY, authorisation_id, holder_id)
    return None if found is None else TransferId(found)


def _told(rows: Sequence[Record]) -> list[Told]:
    found: dict[UUID, Told] = {}
    for row in rows:
        event = event_of(row)
        known = found.get(event.authorisation_id)
        if known is None:
            found[event.authorisation_id] = Told(purchase=purchase_of(row), events=[event])
        else:
            known.events.append(event)
    return list(found.values())


def _case(row: Record) -> Case:
    fields = {name: row[name] for name in Case.__struct_fields__}
    fields["cause"] = Cause(fields["cause"])
    return Case(**fields)


_FOREVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
_LAST_ID: Final = UUID(int=2**128 - 1)

_OF_HOLDER: Final = f"""
with wanted as materialized (
    select * from authorisations
    where holder_id = $1 and (at, id) < ($2, $3) order by at desc, id desc limit $4
)
{PURCHASE_AND_EVENT}
from wanted a join lateral (
    (select * from authorisation_events where authorisation_id = a.id and place = 1)
    union
    (select * from authorisation_events where authorisation_id = a.id order by place desc limit 1)
) e on true
order by a.at desc, a.id desc, e.place
"""  # noqa: S608 - of our own names

_ONE: Final = f"""
{PURCHASE_AND_EVENT}
from authorisations a join authorisation_events e on e.authorisation_id = a.id
where a.id = $1 order by e.place
"""

_BY_KEY: Final = f"""
with wanted as materialized (
    select * from authorisations where key = $1 order by at desc limit $2
)
{PURCHASE_AND_EVENT}
from wanted a join authorisation_events e on e.authorisation_id = a.id
order by a.at desc, a.id desc, e.place
"""  # noqa: S608 - of our own names

_CASES: Final = """
select seq, id, authorisation_id, event_id, holder_id, cause, beyond_minor, short_minor, currency,
       at
from authorisation_cases c
where ($1::bigint is null or seq < $1)
  and (not $3 or not exists (select from authorisation_case_closings d
                             where d.case_id = c.id and d.state = 'CLOSED'))
order by seq desc limit $2
"""

_CASES_OF: Final = """
select seq, id, authorisation_id, event_id, holder_id, cause, beyond_minor, short_minor, currency,
       at
from authorisation_cases where authorisation_id = $1 order by seq
"""

_TAKEN_BY: Final = """
select e.transfer_id from authorisation_events e
join authorisations a on a.id = e.authorisation_id
where e.authorisation_id = $1 and a.holder_id = $2 and e.paid_minor > 0
  and e.kind not in ('RETURN', 'AUTHORIZATION_REVERSAL')
order by e.place desc limit 1
"""
