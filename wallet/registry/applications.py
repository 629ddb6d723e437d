"""Applications for the Smart ID: from the agency's list to the card in the person's hand.

Promise: an application and its Smart ID go the same way together; the counts by state always add
up to the applicants; an agency is shown its own people, a bank its own, and neither sees more
than it needs (no telephone, no number, no money). Tables owned: applications.

    state         may become
    APPLIED       CHECKED REJECTED
    CHECKED       SENT_TO_BANK REJECTED
    SENT_TO_BANK  PRINTED REJECTED
    PRINTED       WITH_AGENCY SENT_TO_BANK             sent back: printed wrong, printed again
    WITH_AGENCY   HANDED_OVER SENT_TO_BANK
    HANDED_OVER   WITH_AGENCY                          hand-over undone
    REJECTED      -

The Smart ID of a rejected application is revoked. Who calls: agency and bank doors, seed.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.database import UniqueViolation
from wallet.identifiers import AgencyId, BankId, HolderId, SmartIdId
from wallet.outcomes import Reason, Refused
from wallet.registry import smart_ids
from wallet.registry.holders import ERASED_KHMER, ERASED_LATIN
from wallet.registry.smart_ids import IdentityState
from wallet.vault import Vault
from wallet.work import Work


class ApplicationState(enum.StrEnum):
    APPLIED = "APPLIED"
    CHECKED = "CHECKED"
    SENT_TO_BANK = "SENT_TO_BANK"
    PRINTED = "PRINTED"
    WITH_AGENCY = "WITH_AGENCY"
    HANDED_OVER = "HANDED_OVER"
    REJECTED = "REJECTED"


_A = ApplicationState
MAY_BECOME: Final[Mapping[ApplicationState, frozenset[ApplicationState]]] = {
    _A.APPLIED: frozenset({_A.CHECKED, _A.REJECTED}),
    _A.CHECKED: frozenset({_A.SENT_TO_BANK, _A.REJECTED}),
    _A.SENT_TO_BANK: frozenset({_A.PRINTED, _A.REJECTED}),
    _A.PRINTED: frozenset({_A.WITH_AGENCY, _A.SENT_TO_BANK}),
    _A.WITH_AGENCY: frozenset({_A.HANDED_OVER, _A.SENT_TO_BANK}),
    _A.HANDED_OVER: frozenset({_A.WITH_AGENCY}),
    _A.REJECTED: frozenset(),
}


class Application(Struct, frozen=True, kw_only=True):
    """An application with the day it reached each state."""

    id: UUID
    bank: BankId
    agency: AgencyId
    holder_id: HolderId
    smart_id_id: SmartIdId
    staff_no: str
    state: ApplicationState
    applied_at: datetime
    checked_at: datetime | None = None
    sent_to_bank_at: datetime | None = None
    printed_at: datetime | None = None
    with_agency_at: datetime | None = None
    handed_over_at: datetime | None = None
    rejected_at: datetime | None = None
    reject_reason: str | None = None


class Listed(Struct, frozen=True, kw_only=True):
    """A line of the list an agency or a bank follows: the person and how far the card is."""

    id: UUID
    bank: BankId
    agency: AgencyId
    staff_no: str
    name_latin: str
    name_khmer: str
    state: ApplicationState
    applied_at: datetime
    since: datetime
    reject_reason: str | None = None


class FunnelRow(Struct, frozen=True, kw_only=True):
    """How many of one agency's people stand where, with one bank."""

    agency: AgencyId
    bank: BankId
    state: ApplicationState
    people: int


# bringing in and reading


async def bring_in(work: Work, applications: Sequence[Application]) -> None:
    """Write applications down in any state; a known id is left alone.

    Refuses: CONFLICT when a person has an open application already.
    """
    try:
        await work.execute(
            _BRING_IN,
            [a.id for a in applications],
            [a.bank for a in applications],
            [a.agency for a in applications],
            [a.holder_id for a in applications],
            [a.smart_id_id for a in applications],
            [a.staff_no for a in applications],
            [a.state.value for a in applications],
            [a.applied_at for a in applications],
            [a.checked_at for a in applications],
            [a.sent_to_bank_at for a in applications],
            [a.printed_at for a in applications],
            [a.with_agency_at for a in applications],
            [a.handed_over_at for a in applications],
            [a.rejected_at for a in applications],
            [a.reject_reason for a in applications],
        )
    except UniqueViolation:
        raise Refused(Reason.CONFLICT, field="application") from None


_BRING_IN: Final = """
insert into applications (id, bank, agency, holder_id, smart_id_id, staff_no, state, applied_at,
                          checked_at, sent_to_bank_at, printed_at, with_agency_at,
                          handed_over_at, rejected_at, reject_reason)
select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::text[],
                     $7::text[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[],
                     $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
                     $14::timestamptz[], $15::text[])
on conflict (id) do nothing
"""


async def funnel(
    work: Work, *, agency: AgencyId | None = None, bank: BankId | None = None
) -> list[FunnelRow]:
    """People by agency, bank and state: of one agency or bank, or of all the Work may see."""
    return await work.structs(FunnelRow, _FUNNEL, agency, bank)


_FUNNEL: Final = """
select agency, bank, state, count(*) as people from applications
where ($1::text is null or agency = $1) and ($2::text is null or bank = $2)
group by agency, bank, state order by agency, bank, state
"""


def tally(rows: Iterable[FunnelRow]) -> dict[ApplicationState, int]:
    """People by state over these rows, states without people included."""
    counted = dict.fromkeys(ApplicationState, 0)
    for row in rows:
        counted[row.state] += row.people
    return counted


async def of_agency(
    work: Work,
    agency: AgencyId,
    *,
    state: ApplicationState | None = None,
    after: UUID | None = None,
    limit: int = 50,
) -> list[Listed]:
    """An agency's applications in order of their ids, those after `after`, at most `limit`."""
    wanted = state.value if state else None
    return await work.structs(Listed, _OF_AGENCY, agency, wanted, after, limit)


async def note_looks(work: Work, application_ids: Sequence[UUID]) -> None:
    """Write down, in each holder's own feed, that these applications were shown to who acts."""
    for row in await work.rows(_HOLDERS_OF, list(application_ids)):
        work.note(
            "application.view",
            str(row["id"]),
            holder_id=row["holder_id"],
            seen=("name", "staff_no", "application"),
        )


_HOLDERS_OF: Final = "select id, holder_id from applications where id = any($1::uuid[]) order by id"

_LISTED: Final = f"""
select a.id, a.bank, a.agency, a.staff_no, a.state, a.applied_at,
       coalesce(n.name_latin, '{ERASED_LATIN}') as name_latin,
       coalesce(n.name_khmer, '{ERASED_KHMER}') as name_khmer,
       greatest(a.applied_at, a.checked_at, a.sent_to_bank_at, a.printed_at, a.with_agency_at,
                a.handed_over_at, a.rejected_at) as since,
       a.reject_reason
from applications a left join holder_names n on n.holder_id = a.holder_id
"""  # noqa: S608 - of our own words alone

_OF_AGENCY: Final = (
    _LISTED
    + """
where a.agency = $1 and ($2::text is null or a.state = $2) and ($3::uuid is null or a.id > $3)
order by a.id limit $4
"""
)


# the way of an application


async def advance(work: Work, application_ids: Sequence[UUID], to: ApplicationState) -> None:
    """Move a group one step, each with its Smart ID (PRINTED: `print_cards`; no: `reject`).

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION (the whole group).
    """
    if to in (ApplicationState.PRINTED, ApplicationState.REJECTED):
        raise Refused(Reason.ILLEGAL_TRANSITION, wanted=to.value)
    held = await _locked(work, application_ids, to)
    await smart_ids.advance(work, list(held.values()), IdentityState(to.value))
    await work.execute(_STEP, list(held), to.value, work.now, None)


async def reject(work: Work, application_ids: Sequence[UUID], reason: str) -> None:
    """Turn a group down, for a reason the applicants may read; their Smart IDs are revoked.

    Refuses: INVALID_REQUEST (no reason), NOT_FOUND, ILLEGAL_TRANSITION (the whole group).
    """
    if not reason.strip():
        raise Refused(Reason.INVALID_REQUEST, field="reason")
    held = await _locked(work, application_ids, ApplicationState.REJECTED)
    await smart_ids.advance(work, list(held.values()), IdentityState.REVOKED)
    await work.execute(_STEP, list(held), ApplicationState.REJECTED.value, work.now, reason)


async def print_cards(work: Work, vault: Vault, bank: BankId, numbers: Mapping[UUID, str]) -> None:
    """The bank printed the cards of these applications, with these numbers.

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION, INVALID_REQUEST (number), CONFLICT (number taken).
    """
    held = await _locked(work, list(numbers), ApplicationState.PRINTED)
    by_smart_id = {held[application_id]: number for application_id, number in numbers.items()}
    await smart_ids.print_cards(work, vault, bank, by_smart_id)
    await work.execute(_STEP, list(held), ApplicationState.PRINTED.value, work.now, None)


async def _locked(
    work: Work, application_ids: Sequence[UUID], to: ApplicationState
) -> dict[UUID, SmartIdId]:
    """Lock these; answers application id -> Smart ID. Refuses unless all may become `to`."""
    rows = await work.rows(_LOCK, list(application_ids))
    if len(rows) != len(set(application_ids)):
        raise Refused(Reason.NOT_FOUND, field="application")
    for row in rows:
        decide_step(ApplicationState(row["state"]), to)
    return {row["id"]: SmartIdId(row["smart_id_id"]) for row in rows}


_LOCK: Final = """
select id, smart_id_id, state from applications where id = any($1::uuid[]) order by id for update
"""

# A step back leaves the days of the steps before it, and takes away those after it.
_STEP: Final = """
update applications set state = $2,
    checked_at = case when $2 = 'CHECKED' then $3 else checked_at end,
    sent_to_bank_at = case when $2 = 'SENT_TO_BANK' then $3 else sent_to_bank_at end,
    printed_at = case $2 when 'PRINTED' then $3 when 'SENT_TO_BANK' then null
                         else printed_at end,
    with_agency_at = case $2 when 'WITH_AGENCY' then $3 when 'SENT_TO_BANK' then null
                             else with_agency_at end,
    handed_over_at = case when $2 = 'HANDED_OVER' then $3 end,
    rejected_at = case when $2 = 'REJECTED' then $3 end,
    reject_reason = $4
where id = any($1::uuid[])
"""


def decide_step(now: ApplicationState, to: ApplicationState) -> None:
    if to not in MAY_BECOME[now]:
        raise Refused(Reason.ILLEGAL_TRANSITION, now=now.value, wanted=to.value)
