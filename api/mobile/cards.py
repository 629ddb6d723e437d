"""Virtual cards and the Smart ID at the phones' door: reading, and freezing at once.

Promise: last four digits at most; freezing is the safe side and asks for nothing but the session;
everything else about a card is an intent. A claim reference of somebody else's card is as unknown
as one that never was. Who calls: the app.
"""

from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import HolderCaller
from api.wire import PAGE, Body, Cursor, Limit, Page, page_of, read_cursor
from wallet.cards import changing, claim, control, rows, tokens
from wallet.cards.states import Card
from wallet.identifiers import CardId
from wallet.outcomes import Outcome, Reason, Refused
from wallet.registry import smart_ids
from wallet.work import Work


class ShownCard(Struct, frozen=True, kw_only=True):
    """A virtual card. `frozen_by` says who can bring it back; SMART_ID: unfreeze that one."""

    id: str
    last_four: Annotated[str, Meta(examples=["4242"])]
    label: str
    kind: Annotated[str, Meta(examples=["open"])]
    currency: str
    state: Annotated[str, Meta(examples=["ACTIVE"])]
    substatus: Annotated[str | None, Meta(examples=[None])]
    frozen_by: Annotated[list[str], Meta(examples=[[]])]
    expires_on: date
    channel: Annotated[str, Meta(examples=["app"])]
    terminal_name: str | None
    claim_expires_at: datetime | None
    per_use_limit_minor: int | None
    daily_limit_minor: int | None
    uses_per_day: int | None
    merchant: Annotated[str | None, Meta(examples=["LUCKY MART"])]
    exchanges: bool
    replaces: Annotated[str | None, Meta(examples=[None])]
    replaced_by: Annotated[str | None, Meta(examples=[None])]
    made_at: datetime


class ShownStep(Struct, frozen=True, kw_only=True):
    """A step in a card's life: what, from which state to which, why, and which sort of caller."""

    act: Annotated[str, Meta(examples=["card.freeze"])]
    from_state: Annotated[str | None, Meta(examples=["ACTIVE"])]
    to_state: Annotated[str, Meta(examples=["FROZEN"])]
    substatus: Annotated[str | None, Meta(examples=["END_USER_REQUEST"])]
    frozen_by: Annotated[list[str], Meta(examples=[["HOLDER"]])]
    cause: Annotated[str, Meta(examples=["holder"])]
    actor_kind: Annotated[str, Meta(examples=["holder"])]
    at: datetime


class ShownHistory(Struct, frozen=True, kw_only=True):
    items: list[ShownStep]


class ShownToken(Struct, frozen=True, kw_only=True):
    """The card in one phone's wallet."""

    id: str
    card_id: str
    wallet: Annotated[str, Meta(examples=["google"])]
    device_name: Annotated[str, Meta(examples=["Pixel 9"])]
    state: Annotated[str, Meta(examples=["ACTIVE"])]
    made_at: datetime


class ShownTokens(Struct, frozen=True, kw_only=True):
    items: list[ShownToken]


class GivenUpToken(Struct, frozen=True, kw_only=True):
    token: ShownToken


class ShownClaim(Struct, frozen=True, kw_only=True):
    """A card that was asked for at an ATM, before its holder claims it."""

    card: ShownCard
    terminal_name: str | None
    asked_at: datetime
    asked_at_local: str
    claimable: bool
    time_left_s: int


class ShownSmartId(Struct, frozen=True, kw_only=True):
    """The printed card: its identity and its payment state are two things."""

    id: str
    last_four: str | None
    identity_state: Annotated[str, Meta(examples=["VALID"])]
    payment_state: Annotated[str, Meta(examples=["ACTIVE"])]
    frozen_by: Annotated[str | None, Meta(examples=[None])]
    cards_kept: Annotated[
        bool,
        Meta(
            description="It is frozen, and its virtual cards go on as its holder chose.",
            examples=[False],
        ),
    ]
    issued_on: date | None
    expires_on: date | None


class FreezeSmartId(Body, frozen=True, kw_only=True):
    """What becomes of the virtual cards: without a body, or a word on it, they stop too."""

    keep_cards: Annotated[
        bool,
        Meta(
            description="Its virtual cards go on, within their limits; nothing new is made."
            " Cards that are stopped already go on by `smart_id.unfreeze` with `cards_only`.",
            examples=[False],
        ),
    ] = False


class FrozenCard(Struct, frozen=True, kw_only=True):
    card: ShownCard


class FrozenSmartId(Struct, frozen=True, kw_only=True):
    smart_id: ShownSmartId


@get("/cards", summary="My virtual cards, newest first")
async def own_cards(
    caller: HolderCaller, resources: Resources, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[ShownCard]:
    place = read_cursor(cursor, tuple[str, UUID])
    before = (_moment(place[0]), CardId(place[1])) if place else None

    async def read(work: Work) -> tuple[list[Card], datetime]:
        return await rows.of_holder(work, caller.holder_id, before, limit + 1), work.now

    found, now = await resources.works.read(caller.actor, caller.bank, read)
    page = page_of(found, limit, lambda card: (card.made_at.isoformat(), card.id))
    return Page(items=[_shown(card, now) for card in page.items], next=page.next)


@get("/cards/{card_id:uuid}", summary="One of my virtual cards")
async def own_card(card_id: UUID, caller: HolderCaller, resources: Resources) -> ShownCard:
    async def read(work: Work) -> ShownCard:
        return _shown(await _own(work, caller, card_id), work.now)

    return await resources.works.read(caller.actor, caller.bank, read)


@get("/cards/{card_id:uuid}/history", summary="What happened to one of my cards, oldest first")
async def own_history(card_id: UUID, caller: HolderCaller, resources: Resources) -> ShownHistory:
    async def read(work: Work) -> list[dict[str, Any]]:
        await _own(work, caller, card_id)
        return await changing.history_of(work, CardId(card_id))

    found = await resources.works.read(caller.actor, caller.bank, read)
    return msgspec.convert({"items": found}, ShownHistory)


@get("/cards/{card_id:uuid}/tokens", summary="The phones' wallets that hold one of my cards")
async def own_tokens(card_id: UUID, caller: HolderCaller, resources: Resources) -> ShownTokens:
    async def read(work: Work) -> list[dict[str, Any]]:
        await _own(work, caller, card_id)
        return [token.view() for token in await tokens.of_card(work, CardId(card_id))]

    found = await resources.works.read(caller.actor, caller.bank, read)
    return msgspec.convert({"items": found}, ShownTokens)


@post("/card-tokens/{token_id:uuid}/delete", status_code=200, summary="Take a card out of a phone")
async def give_up_token(
    token_id: UUID, caller: HolderCaller, resources: Resources, idempotency_key: str
) -> GivenUpToken:
    async def give_up(work: Work) -> Outcome:
        return await tokens.give_up(work, caller.holder_id, token_id)

    outcome, _ = await resources.works.perform_once(
        caller.actor, caller.bank, "card.token_delete", idempotency_key, token_id.bytes, give_up
    )
    return msgspec.convert(answered(outcome), GivenUpToken)


@post("/cards/{card_id:uuid}/freeze", status_code=200, summary="Stop a virtual card at once")
async def freeze_card(
    card_id: UUID, caller: HolderCaller, resources: Resources, idempotency_key: str
) -> FrozenCard:
    async def freeze(work: Work) -> Outcome:
        return await control.freeze_card(work, CardId(card_id), holder_id=caller.holder_id)

    outcome, _ = await resources.works.perform_once(
        caller.actor, caller.bank, "card.freeze", idempotency_key, card_id.bytes, freeze
    )
    return msgspec.convert(answered(outcome), FrozenCard)


@get("/card-claims/{reference:str}", summary="Which ATM a card to be claimed was asked for at")
async def look_up_claim(
    reference: Annotated[str, Parameter(max_length=200)],
    caller: HolderCaller,
    resources: Resources,
) -> ShownClaim:
    issuing = resources.issuing
    found = await resources.works.read(
        caller.actor,
        caller.bank,
        lambda work: claim.look_up(work, issuing, caller.holder_id, reference),
    )
    return msgspec.convert(found, ShownClaim)


@get("/smart-id", summary="My Smart ID")
async def own_smart_id(caller: HolderCaller, resources: Resources) -> ShownSmartId:
    found = await resources.works.read(
        caller.actor, caller.bank, lambda work: smart_ids.of_holder(work, caller.holder_id)
    )
    if found is None:
        raise Refused(Reason.NOT_FOUND)
    return msgspec.convert(found.view(), ShownSmartId)


@post("/smart-id/freeze", status_code=200, summary="Stop paying with my Smart ID and its cards")
async def freeze_smart_id(
    caller: HolderCaller,
    resources: Resources,
    idempotency_key: str,
    data: FreezeSmartId | None = None,
) -> FrozenSmartId:
    """At once, by the session alone. Its virtual cards stop with it, unless they are kept."""
    keep = data is not None and data.keep_cards

    async def freeze(work: Work) -> Outcome:
        return await control.freeze_smart_id(work, caller.holder_id, keep_cards=keep)

    body = b"keep_cards" if keep else b""
    outcome, _ = await resources.works.perform_once(
        caller.actor, caller.bank, "smart_id.freeze", idempotency_key, body, freeze
    )
    return msgspec.convert(answered(outcome), FrozenSmartId)


async def _own(work: Work, caller: HolderCaller, card_id: UUID) -> Card:
    card = await rows.by_id(work, CardId(card_id))
    if card is None or card.holder_id != caller.holder_id:
        raise Refused(Reason.NOT_FOUND)
    return card


def _shown(card: Card, now: datetime) -> ShownCard:
    return msgspec.convert(card.view(now), ShownCard)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(Reason.CURSOR_INVALID) from None
    if moment.tzinfo is None:
        raise Refused(Reason.CURSOR_INVALID)
    return moment


HANDLERS: Final[list[Any]] = [
    own_cards,
    own_card,
    own_history,
    own_tokens,
    give_up_token,
    freeze_card,
    look_up_claim,
    own_smart_id,
    freeze_smart_id,
]
