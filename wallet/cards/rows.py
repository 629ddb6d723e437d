"""The rows of virtual cards: the only reader under lock and the only writer.

Promise: a card's row, its history, its event and its audit row change in one act. Locks are taken
in one order everywhere: ATM request, Smart IDs, cards, then accounts, each in id order.

Tables owned: virtual_cards, card_changes. Who calls: this package.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from msgspec import Struct

from wallet.cards import numbers
from wallet.cards.states import Card, CardKind, CardState, Channel, Substatus
from wallet.clock import day_of
from wallet.events import CardChanged
from wallet.identifiers import AccountId, CardId, HolderId, SmartIdId, last_four
from wallet.money import Currency
from wallet.registry.states import IdentityState, PaymentState
from wallet.vault import Vault, cards_scope
from wallet.work import Actor, Work

DRAWS: Final = 20
"""Numbers are drawn again when taken; so many times in a row means the range is full."""


class Standing(Struct, frozen=True, kw_only=True):
    """A locked Smart ID, as far as issuing cares, and how many live cards hang on it."""

    id: SmartIdId
    holder_id: HolderId
    identity_state: IdentityState
    payment_state: PaymentState
    expires_on: date | None
    live_cards: int = 0


class NewCard(Struct, frozen=True, kw_only=True):
    """A card about to be made. Amounts in minor units of `currency`; None is no own limit."""

    id: CardId
    holder_id: HolderId
    smart_id_id: SmartIdId
    kind: CardKind
    currency: Currency
    account_id: AccountId
    label: str
    expires_on: date
    channel: Channel
    per_use_limit_minor: int | None = None
    daily_limit_minor: int | None = None
    uses_per_day: int | None = None
    claim_index: bytes | None = None
    claim_expires_at: datetime | None = None
    terminal_name: str | None = None

    @property
    def state(self) -> CardState:
        asked_at_atm = self.channel is Channel.ATM
        return CardState.ISSUED_PENDING_CLAIM if asked_at_atm else CardState.ACTIVE

    @property
    def substatus(self) -> Substatus | None:
        return Substatus.NOT_ACTIVE if self.channel is Channel.ATM else None


class Change(Struct, frozen=True, kw_only=True):
    """One card's step: `act` for the history and the audit, `cause` for the people."""

    act: str
    cause: str
    before: Card
    after: Card
    actor: Actor | None = None


# reading


async def by_id(work: Work, card_id: CardId) -> Card | None:
    found = await by_ids(work, [card_id])
    return found.get(card_id)


async def by_ids(work: Work, card_ids: Sequence[CardId]) -> dict[CardId, Card]:
    return _by_id(await work.structs(Card, _BY_IDS, list(card_ids)))


async def of_holder(
    work: Work,
    holder_id: HolderId,
    before: tuple[datetime, CardId] | None = None,
    limit: int = 100,
) -> list[Card]:
    """A person's cards, the newest first; from `before` (made_at, id) on when it is given."""
    made_at, card_id = before or (None, None)
    return await work.structs(Card, _OF_HOLDER, holder_id, made_at, card_id, limit)


async def by_claim_indexes(work: Work, indexes: Sequence[bytes]) -> dict[bytes, Card]:
    """The newest card of each claim reference."""
    records = await work.rows(_IDS_BY_CLAIM, list(indexes))
    cards = await by_ids(work, [CardId(record["id"]) for record in records])
    return {record["claim_index"]: cards[CardId(record["id"])] for record in records}


async def locked(work: Work, card_ids: Sequence[CardId]) -> dict[CardId, Card]:
    """Cards to be changed, locked in id order. Their Smart IDs are read, not locked: who needs
    those still calls `locked_smart_ids` first."""
    await work.rows(_LOCK, list(card_ids))
    return await by_ids(work, card_ids)


async def locked_smart_ids(
    work: Work, smart_id_ids: Sequence[SmartIdId]
) -> dict[SmartIdId, Standing]:
    """Smart IDs locked in id order, with the live cards counted after the lock was had: whoever
    made one before us has committed by then."""
    rows = await work.structs(Standing, _LOCK_SMART_IDS, list(smart_id_ids))
    counts = await live_cards(work, smart_id_ids)
    return {
        row.id: Standing(
            id=row.id,
            holder_id=row.holder_id,
            identity_state=row.identity_state,
            payment_state=row.payment_state,
            expires_on=row.expires_on,
            live_cards=counts.get(row.id, 0),
        )
        for row in rows
    }


async def live_cards(work: Work, smart_id_ids: Sequence[SmartIdId]) -> dict[SmartIdId, int]:
    """How many cards count towards each Smart ID's quota now, late jobs or not."""
    records = await work.rows(_LIVE, list(smart_id_ids), work.now, day_of(work.now))
    return {SmartIdId(record["smart_id_id"]): record["live"] for record in records}


async def waiting(work: Work, smart_id_id: SmartIdId) -> list[Card]:
    """The Smart ID's cards that wait to be claimed: at most one."""
    records = await work.rows(_WAITING, smart_id_id)
    return list((await locked(work, [CardId(record["id"]) for record in records])).values())


async def due(work: Work, limit: int) -> list[Card]:
    """Cards past their printed month that are still open, locked; those busy elsewhere wait."""
    records = await work.rows(_DUE, day_of(work.now), limit)
    return list((await by_ids(work, [CardId(record["id"]) for record in records])).values())


def _by_id(cards: Sequence[Card]) -> dict[CardId, Card]:
    return {card.id: card for card in cards}


_CARDS: Final = """
select c.id, c.bank, c.holder_id, c.smart_id_id, c.state, c.substatus, c.frozen_by, c.kind,
       c.currency, c.account_id, c.label, c.last_four, c.expires_on, c.channel,
       c.claim_expires_at, c.claim_failures, c.terminal_name, c.per_use_limit_minor,
       c.daily_limit_minor, c.uses_per_day, c.made_at, c.changed_at,
       s.identity_state, s.payment_state
  from virtual_cards c join smart_ids s on s.id = c.smart_id_id
"""
_BY_IDS: Final = _CARDS + "where c.id = any($1::uuid[])"
_OF_HOLDER: Final = (
    _CARDS
    + """
 where c.holder_id = $1
   and ($2::timestamptz is null or (c.made_at, c.id) < ($2::timestamptz, $3::uuid))
 order by c.made_at desc, c.id desc
 limit $4
"""
)

_IDS_BY_CLAIM: Final = """
select distinct on (claim_index) claim_index, id from virtual_cards
 where claim_index = any($1::bytea[])
 order by claim_index, state = 'ISSUED_PENDING_CLAIM' desc, id desc
"""

_LOCK: Final = """
select id from virtual_cards where id = any($1::uuid[]) order by id for no key update
"""

_LOCK_SMART_IDS: Final = """
select id, holder_id, identity_state, payment_state, expires_on from smart_ids
 where id = any($1::uuid[]) order by id for no key update
"""

_LIVE: Final = """
select smart_id_id, count(*)::int as live from virtual_cards
 where smart_id_id = any($1::uuid[])
   and (state in ('ACTIVE', 'FROZEN') and expires_on >= $3
        or state = 'ISSUED_PENDING_CLAIM' and claim_expires_at > $2)
 group by smart_id_id
"""

_DUE: Final = """
select id from virtual_cards where state in ('ACTIVE', 'FROZEN') and expires_on < $1
 order by id limit $2 for no key update skip locked
"""

_WAITING: Final = """
select id from virtual_cards where smart_id_id = $1 and state = 'ISSUED_PENDING_CLAIM'
"""


# making


async def add(
    work: Work, vault: Vault, cards: Sequence[NewCard], cause: str, actors: Sequence[Actor]
) -> dict[CardId, Card]:
    """Give each card a number nobody has, seal it, and write the cards down.

    Who may have a card was decided before. Raises RuntimeError when the bank's range is full.
    """
    if not cards:
        return {}
    assert work.bank is not None  # noqa: S101 - a card has one issuing bank
    sealer = await vault.sealer(work, cards_scope(work.bank, day_of(work.now)))
    left = list(cards)
    for _ in range(DRAWS):
        drawn = [numbers.draw_number(work.bank) for _ in left]
        sealed = [
            sealer.seal("virtual_cards", "number_sealed", card.id, number.encode())
            for card, number in zip(left, drawn, strict=True)
        ]
        index = [vault.blind_index(numbers.NUMBER_INDEX, number) for number in drawn]
        kept = await work.rows(_ADD, *_columns(work, left, sealed, index, drawn))
        taken = {record["id"] for record in kept}
        left = [card for card in left if card.id not in taken]
        if not left:
            break
    else:
        raise RuntimeError(f"no free card number found for {work.bank}")
    made = await by_ids(work, [card.id for card in cards])
    await _tell_made(work, [made[card.id] for card in cards], cause, actors)
    return made


def _columns(
    work: Work,
    cards: Sequence[NewCard],
    sealed: list[bytes],
    index: list[bytes],
    drawn: list[str],
) -> list[Any]:
    return [
        work.bank,
        work.now,
        [card.id for card in cards],
        [card.holder_id for card in cards],
        [card.smart_id_id for card in cards],
        [card.state.value for card in cards],
        [card.substatus.value if card.substatus else None for card in cards],
        [card.kind.value for card in cards],
        [card.currency.value for card in cards],
        [card.account_id for card in cards],
        [card.label for card in cards],
        sealed,
        index,
        [last_four(number) for number in drawn],
        [card.expires_on for card in cards],
        [card.channel.value for card in cards],
        [card.claim_index for card in cards],
        [card.claim_expires_at for card in cards],
        [card.terminal_name for card in cards],
        [card.per_use_limit_minor for card in cards],
        [card.daily_limit_minor for card in cards],
        [card.uses_per_day for card in cards],
    ]


_ADD: Final = """
insert into virtual_cards (
    bank, made_at, changed_at, id, holder_id, smart_id_id, state, substatus, kind, currency,
    account_id, label, number_sealed, number_index, last_four, expires_on, channel, claim_index,
    claim_expires_at, terminal_name, per_use_limit_minor, daily_limit_minor, uses_per_day)
select $1, $2, $2, * from unnest(
    $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::bigint[], $11::text[], $12::bytea[], $13::bytea[], $14::text[], $15::date[], $16::text[],
    $17::bytea[], $18::timestamptz[], $19::text[], $20::bigint[], $21::bigint[], $22::int[])
on conflict (number_index) do nothing
returning id
"""


async def _tell_made(
    work: Work, cards: Sequence[Card], cause: str, actors: Sequence[Actor]
) -> None:
    history = []
    for card, actor in zip(cards, actors, strict=True):
        requested = CardState.REQUESTED.value
        history += [
            _history(card, "card.request", None, requested, cause, actor),
            _history(card, "card.create", requested, card.state.value, cause, actor),
        ]
        work.note("card.create", str(card.id), holder_id=card.holder_id, actor=actor, reason=cause)
        work.emit(_changed(card, card.standing(work.now), cause))
    await _remember(work, history)


# changing


async def change(work: Work, changes: Sequence[Change]) -> None:
    """Write a group's steps with their history; at most one step a card."""
    if not changes:
        return
    after = [step.after for step in changes]
    await work.execute(
        _CHANGE,
        work.now,
        [card.id for card in after],
        [card.state.value for card in after],
        [card.substatus.value if card.substatus else None for card in after],
        [",".join(sorted(freezer.value for freezer in card.frozen_by)) for card in after],
        [card.claim_failures for card in after],
    )
    history = []
    for step in changes:
        actor = step.actor or work.actor
        history.append(
            _history(
                step.after,
                step.act,
                step.before.state.value,
                step.after.state.value,
                step.cause,
                actor,
            )
        )
        work.note(
            step.act,
            str(step.after.id),
            holder_id=step.after.holder_id,
            actor=actor,
            reason=step.cause,
        )
        if (step.before.state, step.before.frozen_by) != (step.after.state, step.after.frozen_by):
            work.emit(_changed(step.after, step.after.standing(work.now), step.cause))
    await _remember(work, history)


_CHANGE: Final = """
update virtual_cards c
   set state = n.state, substatus = n.substatus, changed_at = $1,
       frozen_by = string_to_array(n.frozen_by, ','), claim_failures = n.claim_failures
  from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[])
       as n (id, state, substatus, frozen_by, claim_failures)
 where c.id = n.id
"""


async def changes_since(
    work: Work, card_ids: Sequence[CardId], act: str, moment: datetime
) -> dict[CardId, int]:
    """How often `act` stands in each card's history after `moment`."""
    records = await work.rows(_COUNT_CHANGES, list(card_ids), act, moment)
    return {CardId(record["card_id"]): record["times"] for record in records}


_COUNT_CHANGES: Final = """
select card_id, count(*)::int as times from card_changes
 where card_id = any($1::uuid[]) and act = $2 and at > $3
 group by card_id
"""


async def history_of(work: Work, card_id: CardId) -> list[dict[str, Any]]:
    """What happened to a card, oldest first."""
    return [dict(record) for record in await work.rows(_HISTORY_OF, card_id)]


_HISTORY_OF: Final = """
select act, from_state, to_state, substatus, frozen_by, cause, actor_kind, at
  from card_changes where card_id = $1 order by seq
"""


def _changed(card: Card, state: CardState, cause: str) -> CardChanged:
    return CardChanged(
        holder_id=card.holder_id,
        card_id=str(card.id),
        last_four=card.last_four,
        state=state.value,
        cause=cause,
    )


def _history(
    card: Card, act: str, before: str | None, after: str, cause: str, actor: Actor
) -> tuple[Any, ...]:
    frozen_by = ",".join(sorted(freezer.value for freezer in card.frozen_by))
    substatus = card.substatus.value if card.substatus and after == card.state.value else None
    return (card.id, act, before, after, substatus, frozen_by, cause, actor.kind.value, actor.id)


async def _remember(work: Work, history: Sequence[tuple[Any, ...]]) -> None:
    await work.execute(_REMEMBER, work.bank, work.now, *map(list, zip(*history, strict=True)))


_REMEMBER: Final = """
insert into card_changes (bank, at, card_id, act, from_state, to_state, substatus, frozen_by,
                          cause, actor_kind, actor_id)
select $1, $2, h.card_id, h.act, h.from_state, h.to_state, h.substatus,
       string_to_array(h.frozen_by, ','), h.cause, h.actor_kind, h.actor_id
  from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
              $10::text[], $11::text[]) with ordinality
       as h (card_id, act, from_state, to_state, substatus, frozen_by, cause, actor_kind,
             actor_id, place)
 order by h.place
"""
