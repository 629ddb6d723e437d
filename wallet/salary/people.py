"""A file's lines against the registry and the wallets: whose line it is, and may it be paid.

Promise: read-only and set-based, two or three statements for thousands of lines; the decision is
plain Python over what was read. Who calls: check.

A person is found by staff number, must belong to the file's agency, and the account number must
be their own riel wallet. Who has left is held; another spelling of the name, or a Smart ID whose
payments are stopped, is only remarked on: salary lands all the same.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from wallet.identifiers import AgencyId
from wallet.registry.holders import HolderStatus, same_name
from wallet.salary.file import ReadLine
from wallet.salary.findings import FLAGGED, HELD, LineCode
from wallet.salary.runs import LineState
from wallet.work import Work

NOBODY: Final = "*"
"""The bank of a line that names nobody: seen only by Works across banks."""


class Judged(Struct, frozen=True, gc=False):
    """What a line comes to. `person` is the row it was matched with, None when nobody."""

    line: ReadLine
    state: LineState
    code: LineCode | None
    person: Any


class Known(Struct, frozen=True):
    """What the registry and the chart say about one group of lines."""

    people: dict[str, Any]
    stopped: dict[Any, str]
    numbers: set[str]


async def judge(work: Work, agency: AgencyId, lines: Sequence[ReadLine]) -> list[Judged]:
    """Match and decide every line. Needs a Work across banks."""
    known = await _look_up(work, lines)
    return [decide_person(line, agency, known) for line in lines]


async def _look_up(work: Work, lines: Sequence[ReadLine]) -> Known:
    # A line that reading rejected still says whose it was meant to be, when the number is whole.
    wanted = [line.staff_no for line in lines if len(line.staff_no) == 10]
    people = {row["staff_no"]: row for row in await work.rows(_PEOPLE, wanted)}
    ids = [row["holder_id"] for row in people.values()]
    stopped = {row["holder_id"]: row["payment_state"] for row in await work.rows(_STOPPED, ids)}
    strange = [
        line.account_no
        for line in lines
        if line.code is None
        and ((row := people.get(line.staff_no)) is None or row["number"] != line.account_no)
    ]
    numbers = {row["number"] for row in await work.rows(_NUMBERS, strange)} if strange else set()
    return Known(people=people, stopped=stopped, numbers=numbers)


def decide_person(line: ReadLine, agency: AgencyId, known: Known) -> Judged:
    person = known.people.get(line.staff_no)
    code = line.code or _decide_match(line, agency, person, known)
    if code is None or code in FLAGGED:
        return Judged(line, LineState.PENDING, code, person)
    return Judged(line, LineState.HELD if code in HELD else LineState.REJECTED, code, person)


def _decide_match(line: ReadLine, agency: AgencyId, person: Any, known: Known) -> LineCode | None:
    if person is None:
        return LineCode.STAFF_UNKNOWN
    if person["agency"] != agency:
        return LineCode.OTHER_AGENCY
    if person["number"] != line.account_no:
        if person["number"] is None:
            return LineCode.NO_WALLET
        strangers = line.account_no in known.numbers
        return LineCode.ACCOUNT_OF_ANOTHER if strangers else LineCode.ACCOUNT_UNKNOWN
    if person["closed"]:
        return LineCode.NO_WALLET
    if person["status"] in _GONE:
        return _GONE[person["status"]]
    if not (
        _same(line.name_latin, person["name_latin"])
        and _same(line.name_khmer, person["name_khmer"])
    ):
        return LineCode.NAME_DIFFERS
    stopped = known.stopped.get(person["holder_id"])
    return None if stopped is None else _STOPPED_CODES[stopped]


def _same(written: str, registered: str) -> bool:
    return written == registered or same_name(written, registered)


_GONE: Final = {
    HolderStatus.LEFT.value: LineCode.PERSON_LEFT,
    HolderStatus.RETIRED.value: LineCode.PERSON_RETIRED,
    HolderStatus.DECEASED.value: LineCode.PERSON_DECEASED,
}
_STOPPED_CODES: Final = {
    "FROZEN": LineCode.SMART_ID_FROZEN,
    "BLOCKED": LineCode.SMART_ID_BLOCKED,
}

_PEOPLE: Final = """
select h.staff_no, h.id as holder_id, h.bank, h.agency, h.status,
       coalesce(n.name_latin, '') as name_latin, coalesce(n.name_khmer, '') as name_khmer,
       a.id as account_id, a.number, a.closed_at is not null as closed
from holders h
left join holder_names n on n.holder_id = h.id
left join accounts a on a.holder_id = h.id and a.currency = 'KHR'
where h.staff_no = any($1::text[])
"""

# The newest Smart ID that was ever payable speaks for the person; old ones are blocked for good.
_STOPPED: Final = """
select holder_id, payment_state from (
    select distinct on (holder_id) holder_id, payment_state
    from smart_ids
    where holder_id = any($1::uuid[]) and payment_state <> 'INACTIVE'
    order by holder_id, (identity_state = 'VALID') desc, changed_at desc) newest
where payment_state in ('FROZEN', 'BLOCKED')
"""

_NUMBERS: Final = "select number from accounts where number = any($1::text[])"
