"""The token service of an imagined network: what a card's tokens wait for, it does.

Promise: tokens are asked for by their holder's signed act alone (`card.tokenise`); this answers for
the service behind the port, in order of versions, and remembers in this process alone. An answer
may be lost, as planted. Who calls: demonstrations, tests.
"""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Litestar, Request, post
from msgspec import Meta, Struct

from api.resources import Resources
from api.sim.faults import Wire, wire_of
from api.wire import Body
from wallet.cards import tokenising, tokens
from wallet.cards.token_service import Known, NotKnown, Order, Unknown
from wallet.cards.tokens import Token
from wallet.identifiers import BankId, CardId
from wallet.jobs import Again
from wallet.outcomes import Reason, Refused
from wallet.work import SYSTEM


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

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._known: dict[UUID, Known] = {}

    async def order(self, order: Order) -> Known | Unknown:
        held = self._known.get(order.ref)
        if held is None or held.version < order.version:
            reference = f"sim-{order.ref.hex[-12:]}"
            held = Known(state=order.state, version=order.version, provider_ref=reference)
            self._known[order.ref] = held
        return Unknown() if self._wire.meets("lost_answer") else held

    async def look_up(self, ref: UUID) -> Known | NotKnown:
        return self._known.get(ref) or NotKnown()


@post("/tokenise", status_code=200, summary="Answer for the token service of a card")
async def tokenise(
    data: Tokenise, resources: Resources, request: Request[Any, Any, Any]
) -> SimTokens:
    """Brings the card's tokens to where it stands: made, suspended, active again, deleted."""
    bank = BankId(data.bank)
    service = _service(request.app)
    desk = tokenising.TokenDesk(works=resources.works, vault=resources.vault, service=service)
    try:
        await tokenising.settle(desk, bank, data.card_id)
    except Again:
        raise Refused(Reason.IN_FLIGHT) from None
    found = await resources.works.read(
        SYSTEM, bank, lambda work: tokens.of_card(work, data.card_id)
    )
    return SimTokens(items=[_seen(token) for token in found])


def _service(app: Litestar) -> Imagined:
    if "sim_tokens" not in app.state:
        app.state.sim_tokens = Imagined(wire_of(app))
    service: Imagined = app.state.sim_tokens
    return service


def _seen(token: Token) -> SimToken:
    return SimToken(id=token.id, wallet=token.wallet, state=token.state.value)


HANDLERS: Final[list[Any]] = [tokenise]
