"""The rows of virtual cards as they are read, and locked to be changed.

Promise: locks are taken in one order everywhere: ATM request, Smart IDs, cards, then accounts,
each in id order.

Owns no table (adding and changing write). Who calls: this package, the mobile door (reading).
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from wallet.cards.states import Card
from wallet.clock import day_of
from wallet.identifiers import CardId, HolderId, Secret, SmartIdId
from wallet.registry.states import IdentityState, PaymentState
from wallet.vault import Vault
from wallet.work import Work


class Standing(Struct, frozen=True, kw_only=True):
    """A locked Smart ID, as far as issuing cares, and how many live cards hang on it."""

    id: SmartIdId
    holder_id: HolderId
    identity_state: IdentityState
    payment_state: PaymentState
    cards_kept: bool
    expires_on: date | None
    live_cards: int = 0


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
    made one before us has committed by then. One past its last day is expired, job or not."""
    rows = await work.structs(Standing, _LOCK_SMART_IDS, list(smart_id_ids))
    counts = await live_cards(work, smart_id_ids)
    return {row.id: _standing(row, counts.get(row.id, 0), day_of(work.now)) for row in rows}


def _standing(row: Standing, live: int, today: date) -> Standing:
    row = replace(row, live_cards=live)
    valid = row.identity_state is IdentityState.VALID
    if valid and row.expires_on is not None and today > row.expires_on:
        return replace(
            row,
            identity_state=IdentityState.EXPIRED,
            payment_state=PaymentState.BLOCKED,
            cards_kept=False,
        )
    return row


async def live_cards(work: Work, smart_id_ids: Sequence[SmartIdId]) -> dict[SmartIdId, int]:
    """How many cards count towards each Smart ID's quota now, late jobs or not: all its holder's,
    so that those of a Smart ID just replaced, on their way to this one, are counted."""
    records = await work.rows(_LIVE, list(smart_id_ids), work.now, day_of(work.now))
    return {SmartIdId(record["smart_id_id"]): record["live"] for record in records}


async def waiting(work: Work, smart_id_id: SmartIdId) -> list[Card]:
    """The Smart ID's cards that wait to be claimed: at most one."""
    records = await work.rows(_WAITING, smart_id_id)
    return list((await locked(work, [CardId(record["id"]) for record in records])).values())


async def ever_active(work: Work, card_id: CardId) -> bool:
    """Whether the card was ever its holder's to pay with, whatever became of it since."""
    found: bool = await work.value(_EVER_ACTIVE, card_id)
    return found


async def due(work: Work, limit: int) -> list[Card]:
    """Cards past their printed month that are still open, locked; those busy elsewhere wait."""
    records = await work.rows(_DUE, day_of(work.now), limit)
    return list((await by_ids(work, [CardId(record["id"]) for record in records])).values())


async def number_of(work: Work, vault: Vault, card_id: CardId) -> Secret[str]:
    """A card's number, for its holder's phone or the token service alone."""
    sealed = await work.value(_SEALED, card_id)
    plain = await vault.unseal(work, sealed, "virtual_cards", "number_sealed", card_id)
    return Secret(plain.reveal().decode())


_SEALED: Final = "select number_sealed from virtual_cards where id = $1"


def _by_id(cards: Sequence[Card]) -> dict[CardId, Card]:
    return {card.id: card for card in cards}


_CARDS: Final = """
select c.id, c.bank, c.holder_id, c.smart_id_id, c.state, c.substatus, c.frozen_by, c.kind,
       c.currency, c.account_id, c.label, c.last_four, c.expires_on, c.channel,
       c.claim_expires_at, c.claim_failures, c.terminal_name, c.per_use_limit_minor,
       c.daily_limit_minor, c.uses_per_day, c.locked_merchant, c.locked_name, c.spent_by,
       c.exchanges, c.lineage, c.replaces, c.replaced_by, c.cvv_failures, c.tokenised, c.made_at,
       c.changed_at,
       s.identity_state, s.payment_state, s.cards_kept
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
select id, holder_id, identity_state, payment_state, cards_kept, expires_on from smart_ids
 where id = any($1::uuid[]) order by id for no key update
"""

_LIVE: Final = """
select s.id as smart_id_id, count(*)::int as live
  from smart_ids s join virtual_cards c on c.holder_id = s.holder_id
 where s.id = any($1::uuid[])
   and (c.state in ('ACTIVE', 'FROZEN') and c.expires_on >= $3
        or c.state = 'ISSUED_PENDING_CLAIM' and c.claim_expires_at > $2)
 group by s.id
"""

_EVER_ACTIVE: Final = """
select exists (select from card_changes where card_id = $1 and to_state = 'ACTIVE')
"""

_DUE: Final = """
select id from virtual_cards where state in ('ACTIVE', 'FROZEN') and expires_on < $1
 order by id limit $2 for no key update skip locked
"""

_WAITING: Final = """
select id from virtual_cards where smart_id_id = $1 and state = 'ISSUED_PENDING_CLAIM'
"""
