"""Cards that stayed though their ATM took them back: each a case for somebody to look at.

Promise: one case a card, opened in the transaction that answers the reversal; never changed.
Tables owned: atm_card_cases. Who calls: undo (opening), the support door (reading).
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.cards.atm_rows import AtmKey
from wallet.cards.states import Card
from wallet.identifiers import CardId, HolderId, derived_id
from wallet.work import Work


class AtmCase(Struct, frozen=True, kw_only=True):
    """A reversal that came after the claim. `cause`: the ATM host's word for why it sent one."""

    seq: int
    id: UUID
    case_number: str
    card_id: CardId
    holder_id: HolderId
    last_four: str
    acquirer: str
    terminal: str
    rrn: str
    cause: str
    opened_at: datetime


def number_of(card_id: CardId) -> str:
    """The number of the case about this card: always the same."""
    return f"VC-{card_id.hex[-10:].upper()}"


async def open_case(work: Work, card: Card, key: AtmKey, cause: str) -> str:
    """Open the card's case; answers its number."""
    number = number_of(card.id)
    await work.execute(
        _OPEN,
        derived_id(card.id, "atm case"),
        work.bank,
        number,
        card.id,
        card.holder_id,
        card.last_four,
        key.acquirer,
        key.terminal,
        key.rrn,
        cause,
        work.now,
    )
    work.note(
        "card.reversed_after_claim",
        str(card.id),
        holder_id=card.holder_id,
        reason=cause,
        case_number=number,
    )
    return number


async def newest(work: Work, *, before: int | None = None, limit: int = 50) -> list[AtmCase]:
    """Cases, the newest first; `before`: the `seq` of the last one seen."""
    return await work.structs(AtmCase, _NEWEST, before, limit)


_OPEN: Final = """
insert into atm_card_cases (id, bank, case_number, card_id, holder_id, last_four, acquirer,
                            terminal, rrn, cause, opened_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""

_NEWEST: Final = """
select seq, id, case_number, card_id, holder_id, last_four, acquirer, terminal, rrn, cause,
       opened_at
from atm_card_cases where $1::bigint is null or seq < $1 order by seq desc limit $2
"""
