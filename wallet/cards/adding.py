"""New cards written down: numbers nobody has, sealed, with their first two steps.

Promise: a number is drawn at random and kept only if nobody in any bank has it; a group is written
with one statement a draw, of which there is one but for chance collisions.

Tables owned: virtual_cards, with changing (one room). Who calls: create, atm, renewing.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from msgspec import Struct

from wallet.cards import changing, numbers, rows
from wallet.cards.rules import Issuing
from wallet.cards.states import Card, CardKind, CardState, Channel, Substatus
from wallet.clock import day_of
from wallet.identifiers import AccountId, CardId, HolderId, SmartIdId, last_four
from wallet.money import Currency
from wallet.vault import cards_scope
from wallet.work import Actor, Work

DRAWS: Final = 20
"""Numbers are drawn again when taken; so many times in a row means the range is full."""


class NewCard(Struct, frozen=True, kw_only=True):
    """A card about to be made. Amounts in minor units of `currency`; None is no own limit.

    `lineage`: the first card of the chain that it renews; its own id when it renews none."""

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
    locked_merchant: str | None = None
    locked_name: str | None = None
    exchanges: bool = False
    lineage: CardId | None = None
    replaces: CardId | None = None
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


async def add(
    work: Work, issuing: Issuing, cards: Sequence[NewCard], cause: str, actors: Sequence[Actor]
) -> dict[CardId, Card]:
    """Give each card a number nobody has, seal it, and write the cards down.

    Who may have a card was decided before. Raises RuntimeError when the bank's range is full.
    """
    if not cards:
        return {}
    assert work.bank is not None  # noqa: S101 - a card has one issuing bank
    vault, iin = issuing.vault, numbers.iin_of(issuing.rules, work.bank)
    sealer = await vault.sealer(work, cards_scope(work.bank, day_of(work.now)))
    left = list(cards)
    for _ in range(DRAWS):
        drawn = [numbers.draw_number(iin) for _ in left]
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
    made = await rows.by_ids(work, [card.id for card in cards])
    _tell_made(work, [made[card.id] for card in cards], cause, actors)
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
        [card.locked_merchant for card in cards],
        [card.locked_name for card in cards],
        [card.exchanges for card in cards],
        [card.lineage or card.id for card in cards],
        [card.replaces for card in cards],
    ]


_ADD: Final = """
insert into virtual_cards (
    bank, made_at, changed_at, id, holder_id, smart_id_id, state, substatus, kind, currency,
    account_id, label, number_sealed, number_index, last_four, expires_on, channel, claim_index,
    claim_expires_at, terminal_name, per_use_limit_minor, daily_limit_minor, uses_per_day,
    locked_merchant, locked_name, exchanges, lineage, replaces)
select $1, $2, $2, * from unnest(
    $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::bigint[], $11::text[], $12::bytea[], $13::bytea[], $14::text[], $15::date[], $16::text[],
    $17::bytea[], $18::timestamptz[], $19::text[], $20::bigint[], $21::bigint[], $22::int[],
    $23::text[], $24::text[], $25::boolean[], $26::uuid[], $27::uuid[])
on conflict (number_index) do nothing
returning id
"""


def _tell_made(work: Work, cards: Sequence[Card], cause: str, actors: Sequence[Actor]) -> None:
    history = []
    for card, actor in zip(cards, actors, strict=True):
        requested = CardState.REQUESTED.value
        history += [
            changing.row_of(card, "card.request", None, requested, cause, actor),
            changing.row_of(card, "card.create", requested, card.state.value, cause, actor),
        ]
        work.note("card.create", str(card.id), holder_id=card.holder_id, actor=actor, reason=cause)
        work.emit(changing.told(card, card.standing(work.now), cause))
    changing.remember(work, history)
