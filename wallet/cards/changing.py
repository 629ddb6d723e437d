"""Steps of cards that exist: the row, its history, its audit row and its event in one act.

Promise: nothing changes a card without saying who did it and why. What is changed here is sent
with the Work's next writes (`Work.store`), so a group costs no round trip of its own; of one
card's several steps in a group the row is written once, the history in full.

Tables owned: virtual_cards, card_changes, card_standing_uses. Who calls: this package.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.cards.states import Card, CardState
from wallet.events import CardChanged
from wallet.identifiers import CardId
from wallet.work import Actor, Work

TOKENS_JOB: Final = "card.tokens"
"""Brings a card's tokens to where the card stands: {bank, card_id}. Safe to repeat."""

ANNOUNCED: Final = frozenset({"card.cvv_locked"})
"""Steps that change no state and are told all the same."""


class Change(Struct, frozen=True, kw_only=True):
    """One card's step: `act` for the history and the audit, `cause` for the people, `why` in a
    member of staff's own words for the audit."""

    act: str
    cause: str
    before: Card
    after: Card
    actor: Actor | None = None
    why: str | None = None

    @property
    def announced(self) -> bool:
        """Whether its holder has something to notice."""
        before, after = self.before, self.after
        return (
            (before.state, before.frozen_by) != (after.state, after.frozen_by)
            or before.locked_merchant != after.locked_merchant
            or before.smart_id_id != after.smart_id_id
            or self.act in ANNOUNCED
        )


def change(work: Work, changes: Sequence[Change], counted: Sequence[Card] = ()) -> None:
    """Write a group's steps, in order; `counted` are cards that took no step but have another
    count of failures. The cards must be locked."""
    after = {card.id: card for card in counted} | {step.after.id: step.after for step in changes}
    if not after:
        return
    _store_rows(work, list(after.values()))
    history = []
    for step in changes:
        actor = step.actor or work.actor
        before, now = step.before.state.value, step.after.state.value
        history.append(row_of(step.after, step.act, before, now, step.cause, actor))
        work.note(
            step.act,
            str(step.after.id),
            holder_id=step.after.holder_id,
            actor=actor,
            reason=step.why or step.cause,
        )
        if step.after.tokenised:
            wanted = {"bank": step.after.bank, "card_id": str(step.after.id)}
            work.later(TOKENS_JOB, wanted)
        if step.announced:
            work.emit(told(step.after, step.after.standing(work.now), step.cause))
    remember(work, history)


def _store_rows(work: Work, after: Sequence[Card]) -> None:
    work.store(
        "virtual_cards",
        _CHANGE,
        work.now,
        [card.id for card in after],
        [card.state.value for card in after],
        [card.substatus.value if card.substatus else None for card in after],
        [",".join(sorted(freezer.value for freezer in card.frozen_by)) for card in after],
        [card.claim_failures for card in after],
        [card.cvv_failures for card in after],
        [card.locked_merchant for card in after],
        [card.locked_name for card in after],
        [card.spent_by for card in after],
        [card.replaced_by for card in after],
        [card.smart_id_id for card in after],
        rows=len(after),
    )


_CHANGE: Final = """
update virtual_cards c
   set state = n.state, substatus = n.substatus, changed_at = $1,
       frozen_by = string_to_array(n.frozen_by, ','), claim_failures = n.claim_failures,
       cvv_failures = n.cvv_failures, locked_merchant = n.locked_merchant,
       locked_name = n.locked_name, spent_by = n.spent_by, replaced_by = n.replaced_by,
       smart_id_id = n.smart_id_id
  from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[], $7::int[], $8::text[],
              $9::text[], $10::uuid[], $11::uuid[], $12::uuid[])
       as n (id, state, substatus, frozen_by, claim_failures, cvv_failures, locked_merchant,
             locked_name, spent_by, replaced_by, smart_id_id)
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


async def ever(work: Work, card_ids: Sequence[CardId], act: str) -> set[CardId]:
    """Which of the cards have `act` in their history."""
    return {CardId(row["card_id"]) for row in await work.rows(_EVER, list(card_ids), act)}


_EVER: Final = """
select distinct card_id from card_changes where card_id = any($1::uuid[]) and act = $2
"""


async def history_of(work: Work, card_id: CardId) -> list[dict[str, Any]]:
    """What happened to a card, oldest first."""
    return [dict(record) for record in await work.rows(_HISTORY_OF, card_id)]


_HISTORY_OF: Final = """
select act, from_state, to_state, substatus, frozen_by, cause, actor_kind, at
  from card_changes where card_id = $1 order by seq
"""


def told(card: Card, state: CardState, cause: str) -> CardChanged:
    return CardChanged(
        holder_id=card.holder_id,
        card_id=str(card.id),
        last_four=card.last_four,
        state=state.value,
        cause=cause,
    )


def row_of(
    card: Card, act: str, before: str | None, after: str, cause: str, actor: Actor
) -> tuple[Any, ...]:
    """A row of the history."""
    frozen_by = ",".join(sorted(freezer.value for freezer in card.frozen_by))
    substatus = card.substatus.value if card.substatus and after == card.state.value else None
    return (card.id, act, before, after, substatus, frozen_by, cause, actor.kind.value, actor.id)


def remember(work: Work, history: Sequence[tuple[Any, ...]]) -> None:
    """Add to the history of cards whose rows stand or are stored before this."""
    if history:
        columns = map(list, zip(*history, strict=True))
        work.store("card_changes", _REMEMBER, work.bank, work.now, *columns)


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


def agree(work: Work, agreed: Sequence[tuple[Card, str, str, UUID]]) -> None:
    """Remember (card, merchant's id and name, authorisation) as agreements to charge again; one
    that is known already stays as it was."""
    if not agreed:
        return
    work.store(
        "card_standing_uses",
        _AGREE,
        work.bank,
        work.now,
        [card.lineage for card, _, _, _ in agreed],
        [card.id for card, _, _, _ in agreed],
        [merchant_id for _, merchant_id, _, _ in agreed],
        [name for _, _, name, _ in agreed],
        [authorisation_id for _, _, _, authorisation_id in agreed],
    )


_AGREE: Final = """
insert into card_standing_uses (bank, at, lineage, card_id, merchant_id, merchant_name,
                                authorisation_id)
select $1, $2, * from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[])
on conflict (lineage, merchant_id) do nothing
"""
