"""The rows of purchases: what a group needs to know of those before, and what it adds to them.

Promise: everything of a purchase is found by its network's keys with one statement, and written
with one a table. A group that decided on a purchase somebody else moved meanwhile meets that
one's event in its place, and is run again whole; so does one that met the same message at the same
moment, which then finds the stored answer.

Tables owned: authorisations, authorisation_events, open_authorisations, authorisation_cases.
Who calls: serving (the group act); reading and support read.
"""

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from wallet.authorisations.messages import TOO_LATE, Kind, Merchant, Message
from wallet.authorisations.states import NOTHING, Standing
from wallet.database import Record, SerializationFailure
from wallet.identifiers import AccountId, CardId, HolderId
from wallet.limits import Channel
from wallet.outcomes import Outcome
from wallet.work import Work
from wallet.writes import as_json


class Cause(enum.StrEnum):
    """Why somebody must look; the names are those of the industry where it has one."""

    OVER_CAPTURE = "OVER_CAPTURE"
    LATE_PRESENTMENT = "LATE_PRESENTMENT"
    NO_AUTHORIZATION = "NO_AUTHORIZATION"
    FORCE_POST = "FORCE_POST"
    STAND_IN = "STAND_IN"
    ADVICE_RAISED = "ADVICE_RAISED"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    RETURN_REVERSED = "RETURN_REVERSED"


class Purchase(Struct, frozen=True, kw_only=True):
    """What a purchase is, whatever happens to it."""

    id: UUID
    key: str
    network: str
    holder_id: HolderId | None
    card_id: CardId | None
    lineage: CardId | None
    """The first card of its chain, which limits and controls hang on."""
    account_id: AccountId | None
    last_four: str | None
    channel: Channel
    merchant: Merchant
    at: datetime


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened to a purchase; amounts as in the table."""

    authorisation_id: UUID
    place: int
    id: UUID
    kind: Kind
    message_key: str
    fingerprint: bytes
    answer: bytes
    reason: str | None
    cardholder_minor: int
    cardholder_currency: str
    settlement_minor: int
    settlement_currency: str
    merchant_minor: int
    merchant_currency: str
    fee_minor: int = 0
    transfer_id: UUID | None = None
    paid_minor: int = 0
    short_minor: int = 0
    standing: Standing
    at: datetime

    @property
    def outcome(self) -> Outcome:
        """What was answered."""
        answer: Outcome = _ANSWER.decode(self.answer)
        return answer


_ANSWER: Final[Any] = msgspec.json.Decoder(Outcome)


class Case(Struct, frozen=True, kw_only=True):
    """What somebody must look at: `beyond_minor` of what was allowed, in the wallet's currency."""

    id: UUID
    authorisation_id: UUID
    event_id: UUID
    holder_id: HolderId | None
    cause: Cause
    beyond_minor: int
    short_minor: int
    currency: str
    at: datetime


class Life:
    """A purchase within a group: what is stored of it, and what the group adds."""

    __slots__ = ("events", "new", "purchase", "stored", "was_open")

    def __init__(self, purchase: Purchase | None, events: list[Event]) -> None:
        self.purchase = purchase
        self.stored = purchase is not None
        self.events = events
        self.new: list[Event] = []
        self.was_open = bool(events) and events[-1].standing.open_s > 0

    @property
    def standing(self) -> Standing:
        return self.events[-1].standing if self.events else NOTHING

    def add(self, event: Event) -> None:
        self.events.append(event)
        self.new.append(event)


class Lives:
    """The purchases of a group, by id, and the answers already given, by message."""

    def __init__(self, rows: Sequence[Record]) -> None:
        self._lives: dict[UUID, Life] = {}
        self._answered: dict[str, Event] = {}
        for row in rows:
            event = event_of(row)
            self._answered[event.message_key] = event
            known = self._lives.get(event.authorisation_id)
            if known is None:
                self._lives[event.authorisation_id] = Life(purchase_of(row), [event])
            else:
                known.events.append(event)
                known.was_open = event.standing.open_s > 0

    def answered(self, message: Message) -> Event | None:
        """The event of this very message, seen before; of one that was answered too late, what
        undid it."""
        late = self._answered.get(TOO_LATE + message.message_key)
        return late or self._answered.get(message.message_key)

    def of(self, message: Message) -> Life:
        life = self._lives.get(message.authorisation_id)
        if life is None:
            life = self._lives[message.authorisation_id] = Life(None, [])
        return life

    def found(self, message: Message) -> Life | None:
        return self._lives.get(message.authorisation_id)

    def add(self, life: Life, event: Event) -> None:
        life.add(event)
        self._answered[event.message_key] = event

    def changed(self) -> list[Life]:
        return [life for life in self._lives.values() if life.new]


async def open_lives(work: Work, messages: Sequence[Message]) -> Lives:
    """Every purchase these messages are about, with all that happened to each."""
    keys = sorted({message.lifecycle for message in messages})
    said = [message.message_key for message in messages]
    return Lives(await work.rows(_OF_MESSAGES, work.bank, keys, said))


class Alone(Struct, frozen=True, kw_only=True):
    """Of which purchases no other one that was allowed, and left its mark, is on the same card (or
    its renewals), or in the same country from the same wallet."""

    on_card: dict[UUID, CardId]
    in_country: frozenset[UUID]


async def alone(work: Work, lives: Sequence[Life]) -> Alone:
    """Of these purchases. Asks nothing of none."""
    if not lives:
        return Alone(on_card={}, in_country=frozenset())
    known = [life.purchase for life in lives if life.purchase is not None]
    of_cards = {one.id: one.card_id for one in known if one.card_id is not None}
    rows = await work.rows(_WITH_OTHERS, list(of_cards))
    on_card = {row["id"] for row in rows if row["on_card"]}
    in_country = {row["id"] for row in rows if row["in_country"]}
    return Alone(
        on_card={one: card_id for one, card_id in of_cards.items() if one not in on_card},
        in_country=frozenset(of_cards) - in_country,
    )


_WITH_OTHERS: Final = """
select a.id, coalesce(bool_or(o.lineage = a.lineage), false) as on_card,
       coalesce(bool_or(o.account_id = a.account_id and o.country = a.country), false)
           as in_country
  from authorisations a
  left join (
       select p.holder_id, p.id, p.lineage, p.account_id, p.country
         from authorisations p
         join authorisation_events e on e.authorisation_id = p.id and e.place = 1
          and e.reason is null and e.settlement_minor > 0
          and e.kind in ('AUTHORIZATION', 'FINANCIAL_AUTHORIZATION')
        where p.holder_id in (select holder_id from authorisations where id = any($1::uuid[]))
          and (select (l.standing->>'unheard')::boolean from authorisation_events l
                where l.authorisation_id = p.id order by l.place desc limit 1) is not true
  ) o on o.holder_id = a.holder_id and o.id <> a.id
 where a.id = any($1::uuid[])
 group by a.id
"""


def write(work: Work, lives: Lives, cases: Sequence[Case]) -> None:
    """Store what the group added: one statement a table, all on their way at once."""
    changed = lives.changed()
    if not changed:
        return
    changed.sort(key=lambda life: life.new[0].authorisation_id)
    fresh = [life.purchase for life in changed if not life.stored and life.purchase is not None]
    if fresh:
        _store_purchases(work, fresh)
    events = [event for life in changed for event in life.new]
    columns = [_column(events, name) for name in EVENT_COLUMNS]
    work.store("authorisation_events", _ADD_EVENTS, work.bank, *columns, clash=_meanwhile())
    _store_open(work, changed)
    if cases:
        columns = [[getattr(case, name) for case in cases] for name in Case.__struct_fields__]
        work.store("authorisation_cases", _ADD_CASES, work.bank, *columns)


def _store_purchases(work: Work, fresh: Sequence[Purchase]) -> None:
    work.store(
        "authorisations",
        _ADD,
        work.bank,
        [one.id for one in fresh],
        [one.key for one in fresh],
        [one.network for one in fresh],
        [one.holder_id for one in fresh],
        [one.card_id for one in fresh],
        [one.lineage for one in fresh],
        [one.account_id for one in fresh],
        [one.last_four for one in fresh],
        [one.channel.value for one in fresh],
        [one.merchant.id for one in fresh],
        [one.merchant.name for one in fresh],
        [one.merchant.mcc for one in fresh],
        [one.merchant.country for one in fresh],
        [one.at for one in fresh],
        clash=_meanwhile(),
    )


def _store_open(work: Work, changed: Sequence[Life]) -> None:
    opened, closed = [], []
    for life in changed:
        is_open = life.standing.open_s > 0
        if is_open and not life.was_open:
            opened.append(life)
        elif life.was_open and not is_open:
            closed.append(life.new[0].authorisation_id)
    if opened:
        work.store(
            "open_authorisations",
            _OPEN,
            work.bank,
            [life.new[0].authorisation_id for life in opened],
            [life.purchase.key if life.purchase else "" for life in opened],
            [life.standing.expires_at for life in opened],
        )
    if closed:
        work.store("open_authorisations", _CLOSE, closed)


def _meanwhile() -> Exception:
    failure: Exception = SerializationFailure("a purchase was moved by somebody else meanwhile")
    return failure


def _column(events: Sequence[Event], name: str) -> list[Any]:
    if name == "standing":
        return [as_json(event.standing) for event in events]
    if name == "kind":
        return [event.kind.value for event in events]
    return [getattr(event, name) for event in events]


def purchase_of(row: Record) -> Purchase:
    return Purchase(
        id=row["authorisation_id"],
        key=row["key"],
        network=row["network"],
        holder_id=row["holder_id"],
        card_id=row["card_id"],
        lineage=row["lineage"],
        account_id=row["account_id"],
        last_four=row["last_four"],
        channel=Channel(row["channel"]),
        merchant=Merchant(
            id=row["merchant_id"],
            name=row["merchant_name"],
            mcc=row["mcc"],
            country=row["country"],
        ),
        at=row["purchased_at"],
    )


def event_of(row: Record) -> Event:
    fields = {name: row[name] for name in EVENT_COLUMNS}
    fields["kind"] = Kind(row["kind"])
    fields["standing"] = msgspec.convert(row["standing"], Standing)
    return Event(**fields)


EVENT_COLUMNS: Final = Event.__struct_fields__

_TYPES: Final = {
    "authorisation_id": "uuid",
    "place": "integer",
    "id": "uuid",
    "fingerprint": "bytea",
    "answer": "bytea",
    "transfer_id": "uuid",
    "at": "timestamptz",
}


def _type_of(name: str) -> str:
    return _TYPES.get(name, "bigint" if name.endswith("_minor") else "text")


PURCHASE_AND_EVENT: Final = f"""
select a.key, a.network, a.holder_id, a.card_id, a.lineage, a.account_id, a.last_four, a.channel,
       a.merchant_id, a.merchant_name, a.mcc, a.country, a.at as purchased_at,
       {", ".join(f"e.{name}" for name in EVENT_COLUMNS)}
"""

_OF_MESSAGES: Final = f"""
with meant as (
    select id from authorisations where bank = $1 and key = any($2::text[])
    union
    select authorisation_id from authorisation_events
    where bank = $1 and message_key = any($3::text[])
)
{PURCHASE_AND_EVENT}
from meant m
join authorisations a on a.id = m.id
join authorisation_events e on e.authorisation_id = m.id
order by e.authorisation_id, e.place
"""  # noqa: S608 - of our own names

_ADD: Final = """
insert into authorisations (bank, id, key, network, holder_id, card_id, lineage, account_id,
                            last_four, channel, merchant_id, merchant_name, mcc, country, at)
select $1, * from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[],
                         $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[],
                         $13::text[], $14::text[], $15::timestamptz[])
"""

_ADD_EVENTS: Final = f"""
insert into authorisation_events (bank, {", ".join(EVENT_COLUMNS)})
select $1, {", ".join("standing::jsonb" if name == "standing" else name for name in EVENT_COLUMNS)}
from unnest({", ".join(f"${n}::{_type_of(name)}[]" for n, name in enumerate(EVENT_COLUMNS, 2))})
     as e ({", ".join(EVENT_COLUMNS)})
"""  # noqa: S608 - of our own names

_OPEN: Final = """
insert into open_authorisations (bank, id, key, expires_at)
select $1, * from unnest($2::uuid[], $3::text[], $4::timestamptz[])
"""

_CLOSE: Final = "delete from open_authorisations where id = any($1::uuid[])"

_ADD_CASES: Final = """
insert into authorisation_cases (bank, id, authorisation_id, event_id, holder_id, cause,
                                 beyond_minor, short_minor, currency, at)
select $1, * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::bigint[],
                         $8::bigint[], $9::text[], $10::timestamptz[])
"""
