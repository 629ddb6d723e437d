"""The token service of an imagined network: what a card's tokens wait for, it does.

Promise: tokens are asked for by their holder's signed act alone (`card.tokenise`); this answers for
the service behind the port, in order of versions, and remembers for every process. An answer may be
lost, as planted. Who calls: demonstrations, tests.
"""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import post
from msgspec import Meta, Struct

from api.resources import Resources
from api.wire import Body
from wallet import simulation
from wallet.cards import tokenising, tokens
from wallet.cards.token_service import Known, NotKnown, Order, TokenState, Unknown
from wallet.cards.tokens import Token
from wallet.identifiers import BankId, CardId
from wallet.jobs import Again
from wallet.outcomes import Reason, Refused
from wallet.simulation import KnownToken
from wallet.work import SYSTEM, Works


class Tokenise(Body, frozen=True, kw_only=True):
    bank: Annotated[str, Meta(min_length=1, max_length=20, examples=["ACLEDA"])]
    card_id: CardId


class SimToken(Struct, frozen=True, kw_only=True):
    id: UUID
    wallet: Annotated[str, Meta(examples=["apple"])]
    state: Annotated[str, Meta(examples=["ACTIVE"])]


class SimTokens(Struct, frozen=True, kw_only=True):
    items: list[SimToken]


class Imagined:
    """A service that does what it is told, and forgets an order that a later one has passed."""

    def __init__(self, works: Works) -> None:
        self._works = works

    async def order(self, order: Order) -> Known | Unknown:
        held = await simulation.order(self._works, order.ref, order.state.value, order.version)
        met = await simulation.meet(self._works, LOSES_ITS_ANSWER)
        return Unknown() if met.lost_answer else _known(order.ref, held)

    async def look_up(self, ref: UUID) -> Known | NotKnown:
        held = await simulation.look_up(self._works, ref)
        return NotKnown() if held is None else _known(ref, held)


LOSES_ITS_ANSWER: Final = simulation.Faults(lost_answer=1)


def _known(ref: UUID, held: KnownToken) -> Known:
    return Known(
        state=TokenState(held.state),
        version=held.version,
        provider_ref=f"sim-{ref.hex[-12:]}",
    )


@post("/tokenise", status_code=200, summary="Answer for the token service of a card")
async def tokenise(data: Tokenise, resources: Resources) -> SimTokens:
    """Brings the card's tokens to where it stands: made, suspended, active again, deleted."""
    bank = BankId(data.bank)
    service = Imagined(resources.works)
    desk = tokenising.TokenDesk(works=resources.works, vault=resources.vault, service=service)
    try:
        await tokenising.settle(desk, bank, data.card_id)
    except Again:
        raise Refused(Reason.IN_FLIGHT) from None
    found = await resources.works.read(
        SYSTEM, bank, lambda work: tokens.of_card(work, data.card_id)
    )
    return SimTokens(items=[_seen(token) for token in found])


def _seen(token: Token) -> SimToken:
    return SimToken(id=token.id, wallet=token.wallet, state=token.state.value)


HANDLERS: Final[list[Any]] = [tokenise]
