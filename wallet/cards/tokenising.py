"""Bringing a card's tokens to where the card stands: durable jobs around calls to the service.

Promise: what is ordered is committed before it is ordered, with a version, and one token has one
order under way; an order left open is looked up under its ref before anything is ordered anew. No
call is made inside a Work. A job killed at any line is taken up by the next, and a card that
changed while its token was being told is seen before the job ends.

    wanted = known                                  nothing to do
    asking, still within its time                   Again
    asking, time over     --looked up-->            entered, or ordered again with a new version
    wanted <> known       --marked, then ordered--> entered; Again while the answer is open

Owns no table (tokens writes). Who calls: runtime's worker (job card.tokens, the round `resume`).
"""

from datetime import timedelta
from typing import Final

from msgspec import Struct

from wallet.cards import rows, tokens
from wallet.cards.changing import TOKENS_JOB
from wallet.cards.states import Card
from wallet.cards.token_service import (
    Known,
    NotKnown,
    Order,
    TokenService,
    TokenState,
    TurnedDown,
    Unknown,
)
from wallet.cards.tokens import Token, decide_wanted
from wallet.events import CardTokenChanged
from wallet.identifiers import BankId, CardId, Secret
from wallet.jobs import Again
from wallet.vault import Vault
from wallet.work import WORKER, Work, Works

ANSWER_WITHIN: Final = timedelta(seconds=30)
"""Longer than the adapter waits for an answer, so nobody orders over a call under way."""

PAUSE_S: Final = 2.0
ROUNDS: Final = 8
"""Orders one run of the job gives at most; a card changed more often is come back to."""

RESUME_MOST: Final = 200


class TokenDesk(Struct, frozen=True, kw_only=True):
    """What bringing tokens in line needs of its process."""

    works: Works
    vault: Vault
    service: TokenService


class _Step(Struct, frozen=True, kw_only=True):
    """One token's next order, committed as under way; `look_first`: an earlier one is open."""

    token: Token
    order: Order
    look_first: bool


async def settle(desk: TokenDesk, bank: BankId, card_id: CardId) -> None:
    """Order until every token of the card is known to be where it shall be.

    Raises: Again while something is under way or open.
    """
    for _ in range(ROUNDS):
        step = await _next(desk, bank, card_id)
        if step is None:
            return
        if not await _done(desk, bank, step):
            raise Again(PAUSE_S)
    raise Again(PAUSE_S)


async def resume(works: Works, bank: BankId, idle: timedelta = timedelta(minutes=5)) -> int:
    """Want jobs anew for tokens that stayed open for `idle`; answers how many."""

    async def act(work: Work) -> int:
        found = await work.rows(_OPEN, work.now - idle, RESUME_MOST)
        for row in found:
            dedupe = f"{TOKENS_JOB}:{row['card_id']}:{work.now:%Y%m%d%H}"
            payload = {"bank": bank, "card_id": str(row["card_id"])}
            work.later(TOKENS_JOB, payload, dedupe=dedupe)
        return len(found)

    return await works.perform(WORKER, bank, act)


_OPEN: Final = """
select distinct card_id from card_tokens
 where (asking is not null or state = 'REQUESTED') and changed_at <= $1 limit $2
"""


async def _next(desk: TokenDesk, bank: BankId, card_id: CardId) -> _Step | None:
    """The next order, marked as under way; None when all is as it shall be. Raises: Again."""

    async def act(work: Work) -> _Step | bool:
        card = (await rows.locked(work, [card_id])).get(card_id)
        if card is None:
            return False
        busy = False
        for token in await tokens.locked_of(work, card_id):
            wanted = decide_wanted(token, card, work.now)
            if token.asking is None and wanted is token.state:
                continue
            if token.asking_until is not None and work.now < token.asking_until:
                busy = True
                continue
            if wanted is TokenState.DELETED and token.version == 0:
                # Given up before the service ever heard of it.
                await tokens.heard(work, token, TokenState.DELETED, None)
                continue
            return await _mark(desk, work, card, token, wanted)
        return busy

    found = await desk.works.perform(WORKER, bank, act)
    if found is True:
        raise Again(PAUSE_S)
    return found or None


async def _mark(desk: TokenDesk, work: Work, card: Card, token: Token, wanted: TokenState) -> _Step:
    await tokens.asked_for(work, token, wanted, work.now + ANSWER_WITHIN)
    number: Secret[str] | None = None
    if token.state is TokenState.REQUESTED and wanted is not TokenState.DELETED:
        number = await rows.number_of(work, desk.vault, card.id)
    order = Order(
        ref=token.id,
        version=token.version + 1,
        state=wanted,
        wallet=token.wallet,
        last_four=card.last_four,
        expires_on=card.expires_on,
        number=number,
    )
    return _Step(token=token, order=order, look_first=token.asking is not None)


async def _done(desk: TokenDesk, bank: BankId, step: _Step) -> bool:
    """Give the order, unless what was open turns out to have done it; False while it stays open."""
    if step.look_first:
        found = await desk.service.look_up(step.order.ref)
        if isinstance(found, Unknown):
            return False
        if isinstance(found, Known) and found.state is step.order.state:
            return await _enter(desk, bank, step, found)
        if isinstance(found, NotKnown) and step.order.state is TokenState.DELETED:
            return await _enter(desk, bank, step, TurnedDown())
    answer = await desk.service.order(step.order)
    if isinstance(answer, Unknown):
        return False
    return await _enter(desk, bank, step, answer)


async def _enter(desk: TokenDesk, bank: BankId, step: _Step, answer: Known | TurnedDown) -> bool:
    known = answer.state if isinstance(answer, Known) else TokenState.DELETED
    provider_ref = answer.provider_ref if isinstance(answer, Known) else None
    ordered = step.token.at_version(step.order.version)

    async def act(work: Work) -> bool:
        if not await tokens.heard(work, ordered, known, provider_ref):
            return False
        work.note(
            f"card.token_{known.value.lower()}",
            str(ordered.card_id),
            holder_id=ordered.holder_id,
            reason=ordered.wallet,
        )
        if known is not step.token.state:
            work.emit(
                CardTokenChanged(
                    holder_id=ordered.holder_id,
                    card_id=str(ordered.card_id),
                    last_four=step.order.last_four,
                    wallet=ordered.wallet,
                    device=ordered.device_name,
                    state=known.value,
                )
            )
        return True

    return await desk.works.perform(WORKER, bank, act)
