"""A card's controls at the phones' door: what was set, and what every rule leaves.

Promise: of the caller's own cards alone; reading only (setting is an intent: `card.controls`,
`holder.controls`). Who calls: the app.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import get
from msgspec import Meta, Struct

from api.resources import Resources
from api.security import HolderCaller
from api.wire import PAGE, Cursor, Limit, Page, page_of, read_cursor
from wallet.cards import rows
from wallet.controls import ControlSheet, looking
from wallet.controls.deciding import SetBy
from wallet.controls.group import Left
from wallet.controls.versions import Version
from wallet.identifiers import CardId
from wallet.outcomes import Reason, Refused
from wallet.work import Work

SHEET: Final = [
    {
        "spend": [
            {"window": "day", "currency": "KHR", "most_minor": 200_000, "most_count": 5},
            {"window": "lifetime", "currency": "USD", "most_minor": 0},
        ],
        "channels": {"deny": ["atm"]},
        "countries": {"allow": ["KH", "TH"]},
        "mccs": {"deny": ["7995", "5813-5814"]},
        "hours": [{"days": [1, 2, 3, 4, 5], "begin": "06:00", "end": "22:00"}],
    }
]
Sheet = Annotated[ControlSheet, Meta(examples=SHEET)]


class ShownLeft(Struct, frozen=True, kw_only=True):
    """What one rule leaves: null where it does not limit it, 0 where nothing is left."""

    set_by: Annotated[str, Meta(examples=["card"])]
    per: Annotated[str, Meta(examples=["card"])]
    window: Annotated[str, Meta(examples=["day"])]
    currency: str
    most_minor: Annotated[int | None, Meta(examples=[200_000])]
    left_minor: Annotated[int | None, Meta(examples=[148_000])]
    most_count: Annotated[int | None, Meta(examples=[5])]
    left_count: Annotated[int | None, Meta(examples=[3])]


class ShownVersion(Struct, frozen=True, kw_only=True):
    """One version of a sheet: LIVE, or PAST and to be brought back by its number."""

    version: Annotated[int, Meta(examples=[3])]
    state: Annotated[str, Meta(examples=["LIVE"])]
    sheet: Sheet
    set_at: datetime
    ended_at: Annotated[datetime | None, Meta(examples=[None])]


class ShownControls(Struct, frozen=True, kw_only=True):
    """What was set for the card and for all of the holder's cards, null where nothing was; and
    what every rule on money and number leaves, the bank's among them."""

    card: ShownVersion | None
    holder: ShownVersion | None
    left: list[ShownLeft]


@get("/cards/{card_id:uuid}/controls", summary="A card's controls, and what is left of its limits")
async def card_controls(card_id: UUID, caller: HolderCaller, resources: Resources) -> ShownControls:
    async def read(work: Work) -> looking.Standing:
        lineage = await _own(work, caller, card_id)
        return await looking.standing(work, caller.holder_id, lineage)

    return _shown(await resources.works.read(caller.actor, caller.bank, read))


@get("/controls", summary="The controls of all my cards together, and what is left")
async def holder_controls(caller: HolderCaller, resources: Resources) -> ShownControls:
    async def read(work: Work) -> looking.Standing:
        return await looking.standing(work, caller.holder_id, None)

    return _shown(await resources.works.read(caller.actor, caller.bank, read))


@get(
    "/cards/{card_id:uuid}/controls/versions",
    summary="What a card's controls were before, newest first",
)
async def card_versions(
    card_id: UUID,
    caller: HolderCaller,
    resources: Resources,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[ShownVersion]:
    place = read_cursor(cursor, tuple[int])

    async def read(work: Work) -> list[Version]:
        lineage = await _own(work, caller, card_id)
        before = place[0] if place else None
        return await looking.past(work, SetBy.CARD, lineage, before, limit + 1)

    found = await resources.works.read(caller.actor, caller.bank, read)
    page = page_of(found, limit, lambda version: (version.version,))
    return Page(items=[_version(one) for one in page.items], next=page.next)


async def _own(work: Work, caller: HolderCaller, card_id: UUID) -> CardId:
    """The first card of the chain, which controls hang on."""
    card = await rows.by_id(work, CardId(card_id))
    if card is None or card.holder_id != caller.holder_id:
        raise Refused(Reason.NOT_FOUND)
    return card.lineage


def _shown(standing: looking.Standing) -> ShownControls:
    return ShownControls(
        card=None if standing.card is None else _version(standing.card),
        holder=None if standing.holder is None else _version(standing.holder),
        left=[_left(one) for one in standing.left],
    )


def _version(version: Version) -> ShownVersion:
    return ShownVersion(
        version=version.version,
        state=version.state.value,
        sheet=version.sheet,
        set_at=version.promoted_at or version.drafted_at,
        ended_at=version.ended_at,
    )


def _left(left: Left) -> ShownLeft:
    return ShownLeft(
        set_by=left.set_by,
        per=left.per.value,
        window=left.window.value,
        currency=left.currency.value,
        most_minor=left.most_minor,
        left_minor=left.left_minor,
        most_count=left.most_count,
        left_count=left.left_count,
    )


HANDLERS: Final[list[Any]] = [card_controls, holder_controls, card_versions]
