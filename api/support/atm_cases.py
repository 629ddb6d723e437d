"""Cards that stayed though their ATM took them back, as agents see them: a list to look into.

Promise: last four digits at most; an agent of one bank sees no case of another's.
Who calls: support agents.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import get
from msgspec import Meta, Struct

from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.wire import PAGE, Cursor, Limit, Page, page_of, read_cursor
from wallet.access.members import Permission
from wallet.cards import atm_cases as cases
from wallet.cards.atm_cases import AtmCase


class SeenAtmCase(Struct, frozen=True, kw_only=True):
    """A reversal that came after the claim, and why the ATM's host says it sent one."""

    case_number: Annotated[str, Meta(examples=["VC-9D425B1F0E"])]
    card_id: UUID
    holder_id: UUID
    card_last_four: Annotated[str, Meta(examples=["4242"])]
    acquirer: Annotated[str, Meta(examples=["ACLEDA"])]
    terminal: Annotated[str, Meta(examples=["ATM00017"])]
    rrn: Annotated[str, Meta(examples=["601209000017"])]
    cause: Annotated[str, Meta(examples=["printer_failed"])]
    opened_at: datetime


@get(
    "/atm-cases",
    guards=[with_permission(Permission.CASE_WORK)],
    summary="Cards an ATM took back after they were claimed",
)
async def atm_cases(
    caller: StaffCaller, resources: Resources, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[SeenAtmCase]:
    place = read_cursor(cursor, tuple[int])
    before = place[0] if place else None
    found = await resources.works.read(
        caller.actor,
        caller.bank,
        lambda work: cases.newest(work, before=before, limit=limit + 1),
    )
    page = page_of(found, limit, lambda one: (one.seq,))
    return Page(items=[_seen(case) for case in page.items], next=page.next)


def _seen(case: AtmCase) -> SeenAtmCase:
    return SeenAtmCase(
        case_number=case.case_number,
        card_id=case.card_id,
        holder_id=case.holder_id,
        card_last_four=case.last_four,
        acquirer=case.acquirer,
        terminal=case.terminal,
        rrn=case.rrn,
        cause=case.cause,
        opened_at=case.opened_at,
    )


HANDLERS: Final[list[Any]] = [atm_cases]
