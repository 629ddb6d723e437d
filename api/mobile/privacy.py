"""The holder's view of who sees them: who looked at their data, and what each bank holds.

Promise: every look that staff, a bank or an agency took is here, with when, for whom, what was
shown, the case and the reason, whichever bank they belong to; the export is read through each
bank's own wall, so it is what that bank can see and no less. Who calls: the app.
"""

from datetime import datetime
from typing import Annotated, Any, Final

from litestar import get
from msgspec import Meta, Struct

from api.resources import Resources
from api.security import HolderCaller
from api.wire import PAGE, Cursor, Limit, Page, page_of, read_cursor
from wallet import audit, disclosure
from wallet.disclosure import Held
from wallet.identifiers import HolderId


class Look(Struct, frozen=True, kw_only=True):
    """Somebody looked. Staff are named by their house and their kind, not by their name."""

    id: Annotated[int, Meta(description="Grows with each row.", examples=[4711])]
    at: datetime
    who: Annotated[str, Meta(description="What kind of person.", examples=["support"])]
    on_behalf_of: Annotated[
        str | None, Meta(description="Their bank or agency.", examples=["bank:ACLEDA"])
    ]
    what: Annotated[str, Meta(description="In which act.", examples=["support.found"])]
    seen: Annotated[list[str], Meta(description="What was shown.", examples=[["name", "staff_no"]])]
    reason: Annotated[str | None, Meta(examples=["asked by the holder on the phone"])]
    case_number: Annotated[str | None, Meta(examples=["D-2026-000017"])]


class Export(Struct, frozen=True, kw_only=True):
    """What each bank of the programme holds on the holder, each with its manifest."""

    holder_id: HolderId
    made_at: datetime
    banks: list[Held]


@get("/privacy/looks", summary="Who looked at my data, newest first")
async def looks(
    caller: HolderCaller, resources: Resources, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[Look]:
    key = read_cursor(cursor, tuple[int])
    found = await resources.works.read(
        caller.actor,
        caller.bank,
        lambda work: audit.looks_at(
            work.rows, caller.holder_id, before=key[0] if key else None, limit=limit + 1
        ),
    )
    page = page_of([_look(row) for row in found], limit, lambda look: (look.id,))
    return Page(items=page.items, next=page.next)


@get("/privacy/export", summary="What each bank holds about me")
async def export(caller: HolderCaller, resources: Resources) -> Export:
    """One section for each kind of record, also where a bank has none; the manifest counts and
    hashes them."""
    banks = await disclosure.held_by_banks(resources.works, caller.actor, caller.holder_id)
    return Export(holder_id=caller.holder_id, made_at=resources.clock.now(), banks=banks)


def _look(row: Any) -> Look:
    return Look(
        id=row["seq"],
        at=row["at"],
        who=row["actor_kind"],
        on_behalf_of=row["on_behalf_of"],
        what=row["act"],
        seen=row["seen"].split(),
        reason=row["reason"],
        case_number=row["case_number"],
    )


HANDLERS: Final[list[Any]] = [looks, export]
