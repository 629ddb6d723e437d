"""Cards follow their Smart ID, and their holder to the one that replaces a lost or expired one.

Promise: when another Smart ID of the same person becomes VALID, the cards of those that ended go
on under it with number, limits, shop and history as they were; nothing has to be made again. Until
then they stand still, because they read their Smart ID's state (states.Card.frozen_now). Cards that
would outlive the new Smart ID stay behind.

Owns no table (changing writes). Who calls: the worker, by the job that every change of a Smart
ID's payment state leaves behind (registry.smart_ids).
"""

from typing import Final

from msgspec.structs import replace

from wallet.cards import changing, rows
from wallet.cards.changing import TOKENS_JOB, Change
from wallet.identifiers import CardId, HolderId, SmartIdId
from wallet.registry.states import IdentityState
from wallet.work import Work

ENDED: Final = frozenset({IdentityState.EXPIRED, IdentityState.REVOKED})


async def follow(work: Work, holder_id: HolderId) -> int:
    """Move the holder's live cards from ended Smart IDs to the valid one, and have the tokens of
    all brought in line; answers how many moved. Safe to run any number of times.

    Refuses: nothing.
    """
    for row in await work.rows(_TOKENISED, holder_id):
        work.later(TOKENS_JOB, {"bank": row["bank"], "card_id": str(row["id"])})
    ids = [SmartIdId(row["id"]) for row in await work.rows(_SMART_IDS, holder_id)]
    held = await rows.locked_smart_ids(work, ids)
    valid = [one for one in held.values() if one.identity_state is IdentityState.VALID]
    if len(valid) != 1 or valid[0].expires_on is None:
        return 0
    new, until = valid[0], valid[0].expires_on
    found = [CardId(row["id"]) for row in await work.rows(_CARDS, holder_id, new.id)]
    cards = (await rows.locked(work, found)).values()
    steps = [
        Change(
            act="card.follow",
            cause="smart_id_replaced",
            before=card,
            after=replace(
                card,
                smart_id_id=new.id,
                identity_state=new.identity_state,
                payment_state=new.payment_state,
                cards_kept=new.cards_kept,
            ),
        )
        for card in cards
        if card.identity_state in ENDED and card.live(work.now) and card.expires_on <= until
    ]
    changing.change(work, steps)
    return len(steps)


_TOKENISED: Final = "select id, bank from virtual_cards where holder_id = $1 and tokenised"

_SMART_IDS: Final = "select id from smart_ids where holder_id = $1"

_CARDS: Final = """
select id from virtual_cards
 where holder_id = $1 and smart_id_id <> $2
   and state in ('ISSUED_PENDING_CLAIM', 'ACTIVE', 'FROZEN')
"""
