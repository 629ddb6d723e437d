"""How far an agency's applications are: counts by state, and the list, of its own people only.

Promise: the agency is the officer's own, never one named in the request; no telephone, no card
number, nothing about money. Who calls: agency officers.
"""

from typing import Annotated, Final
from uuid import UUID

from litestar import get
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.resources import Resources
from api.security import FOR_MACHINES, HouseCaller
from api.wire import PAGE, Cursor, Limit, Page, page_of, read_cursor
from wallet.identifiers import AgencyId
from wallet.outcomes import Reason, Refused
from wallet.registry import agencies, applications
from wallet.registry.agencies import Agency
from wallet.registry.applications import ApplicationState, FunnelRow, Listed
from wallet.work import Work


class AgencyName(Struct, frozen=True, kw_only=True):
    code: Annotated[str, Meta(examples=["MCS"])]
    name_km: Annotated[str, Meta(examples=["ក្រសួងមុខងារសាធារណៈ"])]
    name_en: Annotated[str, Meta(examples=["Ministry of Civil Service"])]


class WithBank(Struct, frozen=True, kw_only=True):
    """The part of the applicants whose card one bank prints."""

    bank: Annotated[str, Meta(examples=["ACLEDA"])]
    applicants: Annotated[int, Meta(examples=[92])]
    by_state: Annotated[dict[str, int], Meta(examples=[{"APPLIED": 51, "HANDED_OVER": 41}])]


class AgencyFunnel(Struct, frozen=True, kw_only=True):
    """People by the state of their application; every state is named, and they add up."""

    agency: AgencyName
    applicants: Annotated[int, Meta(examples=[214])]
    handed_over: Annotated[int, Meta(examples=[96])]
    by_state: Annotated[dict[str, int], Meta(examples=[{"APPLIED": 118, "HANDED_OVER": 96}])]
    by_bank: list[WithBank]


Wanted = Annotated[
    ApplicationState | None, Parameter(query="state", description="Only those in this state.")
]


@get(
    "/funnel",
    opt=FOR_MACHINES,
    security=[{"machine": []}],
    summary="How far your agency's applications are",
)
async def funnel(caller: HouseCaller, resources: Resources) -> AgencyFunnel:
    agency = _own(caller)

    async def read(work: Work) -> tuple[Agency, list[FunnelRow]]:
        named = await agencies.named(work, agency)
        return named, await applications.funnel(work, agency=agency)

    # An agency's people are with all three banks.
    named, rows = await resources.works.read(caller.actor, None, read)
    by_state = applications.tally(rows)
    return AgencyFunnel(
        agency=AgencyName(code=named.id, name_km=named.name_km, name_en=named.name_en),
        applicants=sum(by_state.values()),
        handed_over=by_state[ApplicationState.HANDED_OVER],
        by_state=_plain(by_state),
        by_bank=[
            WithBank(bank=bank, applicants=sum(part.values()), by_state=_plain(part))
            for bank in sorted({row.bank for row in rows})
            for part in [applications.tally([row for row in rows if row.bank == bank])]
        ],
    )


@get(
    "/applications",
    opt=FOR_MACHINES,
    security=[{"machine": []}],
    summary="Your agency's applications, one by one",
)
async def listed(
    caller: HouseCaller,
    resources: Resources,
    wanted: Wanted = None,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[Listed]:
    """Whoever is shown reads of it in their own feed."""
    agency = _own(caller)
    key = read_cursor(cursor, tuple[UUID])

    async def look(work: Work) -> list[Listed]:
        found = await applications.of_agency(
            work, agency, state=wanted, after=key[0] if key else None, limit=limit + 1
        )
        await applications.note_looks(work, [line.id for line in found[:limit]])
        return found

    found = await resources.works.perform(caller.actor, None, look)
    return page_of(found, limit, lambda line: (line.id,))


def _own(caller: HouseCaller) -> AgencyId:
    if caller.agency is None:
        raise Refused(Reason.FORBIDDEN)
    return caller.agency


def _plain(by_state: dict[ApplicationState, int]) -> dict[str, int]:
    return {state.value: people for state, people in by_state.items()}


HANDLERS: Final = (funnel, listed)
