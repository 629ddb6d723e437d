"""Virtual cards of an ATM taken back, or never claimed.

Promise: a reversal is always accepted and always answered the same. Before the claim it cancels
the card, for which nothing was paid yet: its fee is taken by the claim. After it the card stays
and a case is opened; before its own request it leaves a tombstone. A card nobody claims ends at
its exact moment, by a durable job or by whoever meets it first.

Owns no table. Who calls: the ATM door (`reverse`); the worker (`lapse`); atm (`lapsed`).
"""

from typing import Any, Final

from wallet.cards import atm_cases, atm_rows, changing, rows
from wallet.cards.atm_rows import AtmKey, Reversal
from wallet.cards.changing import Change
from wallet.cards.states import Card, CardState, Substatus, decide
from wallet.events import CardChanged
from wallet.identifiers import CardId
from wallet.outcomes import Done, Outcome
from wallet.work import Work

JOB: Final = "card.claim_expiry"
"""The durable job that ends an unclaimed card; its payload is {card_id, bank}."""


async def reverse(work: Work, key: AtmKey, cause: str) -> Outcome:
    """Take a request back: always accepted, and the same answer on every repeat.

    `cause`: the host's word (printer failed, customer walked away, no answer in time).
    Refuses: nothing.
    """
    row = await atm_rows.tombstone(work, key)
    if row is None:
        work.note("card.atm_reversal", key.rrn, reason=f"before its request: {cause}")
        return _reversed(Reversal.NOTHING_TO_REVERSE, None)
    if row.reversal is not None:
        return _reversed(row.reversal, row.card_id)
    result = Reversal.NOTHING_TO_REVERSE
    if row.card_id is not None:
        result = await _reverse_card(work, row.card_id, key, cause)
    await atm_rows.reversed_as(work, key, result)
    return _reversed(result, row.card_id)


async def _reverse_card(work: Work, card_id: CardId, key: AtmKey, cause: str) -> Reversal:
    card = (await rows.locked(work, [card_id]))[card_id]
    if card.state is CardState.ISSUED_PENDING_CLAIM:
        if card.claim_over(work.now):
            changing.change(work, [lapsed(card)])
        else:
            after = decide(card, CardState.REVERSED, Substatus.ISSUER_REQUEST)
            step = Change(act="card.reverse", cause="atm_reversal", before=card, after=after)
            changing.change(work, [step])
        return Reversal.CANCELLED
    if not await rows.ever_active(work, card.id):
        return Reversal.CANCELLED
    await atm_cases.open_case(work, card, key, cause)
    work.emit(
        CardChanged(
            holder_id=card.holder_id,
            card_id=str(card.id),
            last_four=card.last_four,
            state=card.standing(work.now).value,
            cause="atm_reversal_after_claim",
        )
    )
    return Reversal.STAYS


def _reversed(result: Reversal, card_id: CardId | None) -> Done:
    answer: dict[str, Any] = {"result": result.value}
    if card_id is not None and result is Reversal.STAYS:
        answer["case_number"] = atm_cases.number_of(card_id)
    return Done(answer=answer)


async def lapse(work: Work, card_id: CardId) -> bool:
    """End a card nobody claimed; False when it is not yet time. Safe to run any number of times.

    Refuses: nothing.
    """
    card = (await rows.locked(work, [card_id])).get(card_id)
    if card is None or card.state is not CardState.ISSUED_PENDING_CLAIM:
        return True
    if not card.claim_over(work.now):
        return False
    changing.change(work, [lapsed(card)])
    return True


def lapsed(card: Card) -> Change:
    after = decide(card, CardState.EXPIRED, Substatus.UNDELIVERABLE)
    return Change(act="card.claim_expiry", cause="claim_expired", before=card, after=after)
