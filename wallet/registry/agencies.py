"""The ministries and authorities whose staff carry the Smart ID.

Promise: an agency has one short code for good, and a name in Khmer and in English.
Tables owned: agencies. Who calls: seed, salary (whose file it is), doors (names).
"""

import enum
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from wallet.identifiers import AgencyId
from wallet.outcomes import Reason, Refused
from wallet.work import Work


class AgencyKind(enum.StrEnum):
    MINISTRY = "ministry"
    AUTHORITY = "authority"


class Agency(Struct, frozen=True, kw_only=True):
    id: AgencyId
    name_km: str
    name_en: str
    kind: AgencyKind


async def establish(work: Work, agencies: Sequence[Agency]) -> None:
    """Write the agencies down; repeating it changes nothing.

    Refuses: nothing.
    """
    await work.execute(
        _ESTABLISH,
        [a.id for a in agencies],
        [a.name_km for a in agencies],
        [a.name_en for a in agencies],
        [a.kind.value for a in agencies],
    )


_ESTABLISH: Final = """
insert into agencies (id, name_km, name_en, kind)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[])
on conflict (id) do nothing
"""


async def every(work: Work) -> list[Agency]:
    """All agencies, by code."""
    return await work.structs(Agency, _EVERY)


_EVERY: Final = "select id, name_km, name_en, kind from agencies order by id"


async def named(work: Work, agency: AgencyId) -> Agency:
    """The agency with this code.

    Refuses: NOT_FOUND.
    """
    found = await work.struct(Agency, _NAMED, agency)
    if found is None:
        raise Refused(Reason.NOT_FOUND, agency=agency)
    return found


_NAMED: Final = "select id, name_km, name_en, kind from agencies where id = $1"
