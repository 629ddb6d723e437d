"""The people: civil servants, once each, with their bank and their agency.

Promise: a staff number names one person in all banks; a person's bank alone (and the programme's
own readers) sees the row; the telephone number is sealed under the person's own key and found
only by its keyed hash; names stand apart, beside the keys, so that a person can be erased and the
row that their accounts belong to stays. Tables owned: holders, holder_names.

    status     may become
    APPLICANT  ACTIVE LEFT RETIRED DECEASED
    ACTIVE     LEFT RETIRED DECEASED
    LEFT       ACTIVE RETIRED DECEASED
    RETIRED    ACTIVE DECEASED
    DECEASED   ACTIVE                       a mistaken report of death is undone

Who calls: salary (whose line is it), access (pairing), enrolment, seed, doors.
"""

import enum
import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from wallet.database import UniqueViolation
from wallet.identifiers import AgencyId, BankId, HolderId, Secret
from wallet.outcomes import Reason, Refused
from wallet.registry.names import normalise_name, same_name
from wallet.vault import KeyGoneError, Plain, Vault, person_scope
from wallet.work import Work

__all__ = [
    "Holder",
    "HolderStatus",
    "advance",
    "bring_in",
    "by_id",
    "by_ids",
    "by_phone",
    "by_staff_no",
    "by_staff_nos",
    "erase",
    "is_number",
    "normalise_name",
    "phone",
    "same_name",
    "set_phones",
]

PHONE_INDEX: Final = "holder.phone"
"""The purpose of the keyed hash that telephone numbers are found by."""

_E164: Final = re.compile(r"\+[1-9][0-9]{7,14}")


class HolderStatus(enum.StrEnum):
    APPLICANT = "APPLICANT"
    ACTIVE = "ACTIVE"
    LEFT = "LEFT"
    RETIRED = "RETIRED"
    DECEASED = "DECEASED"


_GONE: Final = frozenset({HolderStatus.LEFT, HolderStatus.RETIRED, HolderStatus.DECEASED})

MAY_BECOME: Final[Mapping[HolderStatus, frozenset[HolderStatus]]] = {
    HolderStatus.APPLICANT: _GONE | {HolderStatus.ACTIVE},
    HolderStatus.ACTIVE: _GONE,
    HolderStatus.LEFT: frozenset(
        {HolderStatus.ACTIVE, HolderStatus.RETIRED, HolderStatus.DECEASED}
    ),
    HolderStatus.RETIRED: frozenset({HolderStatus.ACTIVE, HolderStatus.DECEASED}),
    HolderStatus.DECEASED: frozenset({HolderStatus.ACTIVE}),
}


class Holder(Struct, frozen=True, kw_only=True):
    """A person as other rooms may know them: no telephone number."""

    id: HolderId
    bank: BankId
    agency: AgencyId
    staff_no: str
    name_latin: str
    name_khmer: str
    language: str
    status: HolderStatus


async def bring_in(work: Work, people: Sequence[Holder]) -> None:
    """Write people down, of one bank or of all; an id already known is left as it is.

    Names are kept normalised. Refuses: CONFLICT when a staff number belongs to another id.
    """
    try:
        await work.execute(
            _BRING_IN,
            [p.id for p in people],
            [p.bank for p in people],
            [p.agency for p in people],
            [p.staff_no for p in people],
            [p.language for p in people],
            [p.status.value for p in people],
            work.now,
            [normalise_name(p.name_latin) for p in people],
            [normalise_name(p.name_khmer) for p in people],
        )
    except UniqueViolation:
        raise Refused(Reason.CONFLICT, field="staff_no") from None


# Names only of who is new here: an erased person brought in again stays erased.
_BRING_IN: Final = """
with fresh as (
    insert into holders (id, bank, agency, staff_no, language, status, created_at)
    select f.*, $7 from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
                               $6::text[]) as f
    on conflict (id) do nothing
    returning id, bank)
insert into holder_names (holder_id, bank, name_latin, name_khmer)
select fresh.id, fresh.bank, named.latin, named.khmer
from fresh
join unnest($1::uuid[], $8::text[], $9::text[]) as named (id, latin, khmer) on named.id = fresh.id
"""


async def by_id(work: Work, holder_id: HolderId) -> Holder | None:
    return (await by_ids(work, [holder_id])).get(holder_id)


async def by_ids(work: Work, holder_ids: Sequence[HolderId]) -> dict[HolderId, Holder]:
    """The people with these ids that the Work's bank may see."""
    found = await work.structs(Holder, _BY_IDS, list(holder_ids))
    return {holder.id: holder for holder in found}


async def by_staff_no(work: Work, staff_no: str) -> Holder | None:
    return (await by_staff_nos(work, [staff_no])).get(staff_no)


async def by_staff_nos(work: Work, staff_nos: Sequence[str]) -> dict[str, Holder]:
    """The people with these staff numbers that the Work's bank may see, by staff number."""
    found = await work.structs(Holder, _BY_STAFF_NOS, list(staff_nos))
    return {holder.staff_no: holder for holder in found}


ERASED_LATIN: Final = "(erased)"
ERASED_KHMER: Final = "(បានលុប)"
"""What stands where a name was."""

_HOLDER: Final = f"""
select id, holders.bank, agency, staff_no, language, status,
       coalesce(n.name_latin, '{ERASED_LATIN}') as name_latin,
       coalesce(n.name_khmer, '{ERASED_KHMER}') as name_khmer
from holders left join holder_names n on n.holder_id = holders.id
"""  # noqa: S608 - of our own words alone
_BY_IDS: Final = _HOLDER + "where id = any($1::uuid[])"
_BY_STAFF_NOS: Final = _HOLDER + "where staff_no = any($1::text[])"


async def by_phone(work: Work, vault: Vault, number: str) -> list[Holder]:
    """Everybody with this telephone number (E.164): two people may share one."""
    return await work.structs(Holder, _BY_PHONE, vault.blind_index(PHONE_INDEX, number))


_BY_PHONE: Final = _HOLDER + "where phone_index = $1 order by id"


async def phone(work: Work, vault: Vault, holder_id: HolderId) -> Secret[str] | None:
    """A holder's telephone number, E.164; None when there is no such holder or number, or when they
    were erased after the dump was made that these rows came back from."""
    sealed = await work.value(_PHONE, holder_id)
    if sealed is None:
        return None
    try:
        plain = await vault.unseal(work, sealed, "holders", "phone_sealed", holder_id)
    except KeyGoneError:
        return None
    return Secret(plain.reveal().decode())


_PHONE: Final = "select phone_sealed from holders where id = $1"


def is_number(text: str) -> bool:
    """Whether this is a telephone number as it is kept: E.164, ASCII digits after a plus."""
    return _E164.fullmatch(text) is not None


async def set_phones(work: Work, vault: Vault, numbers: Mapping[HolderId, str]) -> None:
    """Give people their telephone numbers (E.164), each sealed under the person's own key.

    Refuses: PHONE_INVALID, NOT_FOUND when one of them is not there to be seen.
    """
    if not all(_E164.fullmatch(number) for number in numbers.values()):
        raise Refused(Reason.PHONE_INVALID)
    ids = list(numbers)
    sealed = await vault.seal_many(
        work,
        [
            Plain(
                scope=person_scope(holder_id),
                table="holders",
                column="phone_sealed",
                row_id=holder_id,
                plaintext=numbers[holder_id].encode(),
            )
            for holder_id in ids
        ],
    )
    index = [vault.blind_index(PHONE_INDEX, numbers[holder_id]) for holder_id in ids]
    if len(await work.rows(_SET_PHONES, ids, sealed, index)) != len(ids):
        raise Refused(Reason.NOT_FOUND, field="holder_id")


_SET_PHONES: Final = """
update holders set phone_sealed = fresh.sealed, phone_index = fresh.index
from unnest($1::uuid[], $2::bytea[], $3::bytea[]) as fresh (id, sealed, index)
where holders.id = fresh.id
returning holders.id
"""


async def erase(work: Work, vault: Vault, holder_id: HolderId) -> None:
    """Make a person who has gone unreadable for ever: the key of all that is sealed under it, their
    names and their telephone. The row stays, for the accounts and applications that belong to it.

    Erased again, nothing changes. Refuses: NOT_FOUND, ILLEGAL_TRANSITION (they have not gone).
    """
    rows = await work.rows(_LOCK_STATUS, [holder_id])
    if not rows:
        raise Refused(Reason.NOT_FOUND, field="holder_id")
    if HolderStatus(rows[0]["status"]) not in _GONE:
        raise Refused(Reason.ILLEGAL_TRANSITION, now=rows[0]["status"], wanted="ERASED")
    await vault.shred(work, person_scope(holder_id))
    await work.execute(_FORGET_NAMES, holder_id)
    await work.execute(_ERASE, holder_id, work.now)


_FORGET_NAMES: Final = "delete from holder_names where holder_id = $1"

_ERASE: Final = """
update holders set phone_sealed = null, phone_index = null, erased_at = $2
where id = $1 and erased_at is null
"""


async def advance(work: Work, holder_ids: Sequence[HolderId], to: HolderStatus) -> None:
    """Change people's standing; those who have it already stay as they are.

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION (the whole group).
    """
    rows = await work.rows(_LOCK_STATUS, list(holder_ids))
    if len(rows) != len(set(holder_ids)):
        raise Refused(Reason.NOT_FOUND, field="holder_id")
    for row in rows:
        decide_status(HolderStatus(row["status"]), to)
    await work.execute(_SET_STATUS, list(holder_ids), to.value)
    for row in rows:
        if row["status"] != to.value:
            work.note(f"holder.{to.value.lower()}", str(row["id"]), holder_id=row["id"])


def decide_status(now: HolderStatus, to: HolderStatus) -> None:
    if now is not to and to not in MAY_BECOME[now]:
        raise Refused(Reason.ILLEGAL_TRANSITION, now=now.value, wanted=to.value)


_LOCK_STATUS: Final = """
select id, status from holders where id = any($1::uuid[]) order by id for update
"""

_SET_STATUS: Final = "update holders set status = $2 where id = any($1::uuid[]) and status <> $2"
