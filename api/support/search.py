"""The agents' one search box: a case number, a staff number or a telephone number.

Promise: shows who it is and their cases, never a number in full and no telephone at all; every
look-up is audited for each person found, without what was typed, and shows in their own feed. An
agent of one bank finds nobody of another's. Who calls: support agents.
"""

import re
from typing import Annotated, Any, Final

from litestar import post
from msgspec import Meta, Struct

from api.resources import Resources
from api.security import LOOKING, StaffCaller, with_permission
from api.support.shown import SEEN, ShownCase, ShownPerson, shown_case, shown_person
from api.wire import Body
from wallet.access.members import Permission
from wallet.disputes import cases, refunds
from wallet.disputes.cases import Case
from wallet.identifiers import HolderId
from wallet.outcomes import Refused
from wallet.registry import holders
from wallet.registry.holders import Holder
from wallet.topups.numbers import read_number
from wallet.work import Work

MOST_PEOPLE: Final = 10
CASES_EACH: Final = 20

_CASE_NUMBER: Final = re.compile(r"[Dd]-[0-9]{4}-[0-9]{6,12}")
_STAFF_NO: Final = re.compile(r"[0-9]{10}")


class Search(Body, frozen=True, kw_only=True):
    """What the caller on the telephone says of themselves."""

    q: Annotated[
        str,
        Meta(
            min_length=3,
            max_length=40,
            description="A case number, a staff number (10 digits) or a telephone number, in full.",
            examples=["D-2026-000017"],
        ),
    ]

    def __repr__(self) -> str:
        return "Search(***)"


class FoundPerson(Struct, frozen=True, kw_only=True):
    """Somebody, and their newest cases."""

    person: ShownPerson
    cases: list[ShownCase]


class Found(Struct, frozen=True, kw_only=True):
    """Who was found, and by what."""

    by: Annotated[list[str], Meta(description="What matched.", examples=[["staff_no"]])]
    people: list[FoundPerson]


@post(
    "/search",
    status_code=200,
    opt=LOOKING,
    guards=[with_permission(Permission.CASE_WORK)],
    summary="Find a person or a case",
)
async def search(data: Search, caller: StaffCaller, resources: Resources) -> Found:
    """Two people may share a telephone: all of them are shown. Asked in a body, for an address is
    kept by whatever stands between."""
    q = data.q.strip()

    async def look(work: Work) -> Found:
        by, people = await _people(work, resources, q)
        work.note("support.search", ",".join(by) or "nobody")
        for holder in people:
            work.note("support.found", ",".join(by), holder_id=holder.id, seen=SEEN)
        return Found(by=by, people=[await _with_cases(work, holder) for holder in people])

    return await resources.works.perform(caller.actor, caller.bank, look)


async def _people(work: Work, resources: Resources, q: str) -> tuple[list[str], list[Holder]]:
    """What matched, and who. A number of ten digits may be a staff number and a telephone."""
    by: list[str] = []
    found: dict[HolderId, Holder] = {}
    if _CASE_NUMBER.fullmatch(q) and (case := await cases.by_number(work, q)):
        found.update(await holders.by_ids(work, [case.holder_id]))
        by.append("case_number")
    if _STAFF_NO.fullmatch(q) and (holder := await holders.by_staff_no(work, q)):
        found[holder.id] = holder
        by.append("staff_no")
    if (phone := _telephone(q)) and (
        owners := await holders.by_phone(work, resources.vault, phone)
    ):
        found.update({holder.id: holder for holder in owners[:MOST_PEOPLE]})
        by.append("phone")
    return by, list(found.values())


def _telephone(q: str) -> str | None:
    # Often typed with the country's code and without the plus.
    typed = f"+{q}" if q.startswith("855") else q
    try:
        return read_number(typed)
    except Refused:
        return None


async def _with_cases(work: Work, holder: Holder) -> FoundPerson:
    found: list[Case] = await cases.of_holder(work, holder.id, limit=CASES_EACH)
    waiting = await refunds.with_refund_waiting(work, [case.id for case in found])
    return FoundPerson(
        person=shown_person(holder),
        cases=[shown_case(case, refund_waits=case.id in waiting) for case in found],
    )


HANDLERS: Final[list[Any]] = [search]
