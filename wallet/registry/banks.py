"""The banks that print the Smart ID and keep the holders' books.

Promise: the three banks of the programme, with the number range each issues from. A bank is a
tenant: its people are seen by nobody else (row-level security on every table with holder data).
Tables owned: banks. Who calls: seed, cards (number ranges), qr (settlement ids), doors (names).
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from wallet.identifiers import BankId
from wallet.outcomes import Reason, Refused
from wallet.work import Work

PHYSICAL: Final = "00"
"""What follows the IIN in the number of a printed Smart ID."""

VIRTUAL: Final = "10"
"""What follows the IIN in the number of a virtual card."""


class Bank(Struct, frozen=True, kw_only=True):
    """A printing bank. `iin` is the first six digits of its numbers: test range 9116."""

    id: BankId
    name_km: str
    name_en: str
    iin: str
    settlement_khqr_id: str


PROGRAMME: Final[tuple[Bank, ...]] = (
    Bank(
        id=BankId("ACLEDA"),
        name_km="ធនាគារ អេស៊ីលីដា",
        name_en="ACLEDA Bank",
        iin="911601",
        settlement_khqr_id="khqr@aclb",
    ),
    Bank(
        id=BankId("CANADIA"),
        name_km="ធនាគារ កាណាឌីយ៉ា",
        name_en="Canadia Bank",
        iin="911602",
        settlement_khqr_id="cadikhppxxx@cadi",
    ),
    Bank(
        id=BankId("WING"),
        name_km="ធនាគារ វីង",
        name_en="Wing Bank",
        iin="911603",
        settlement_khqr_id="wingkhppxxx@wing",
    ),
)
"""The three banks of the memorandum. Settlement ids are configuration, these are the ones seen."""

_BY_ID: Final = {bank.id: bank for bank in PROGRAMME}


def named(bank_id: BankId | str) -> Bank:
    """The bank of the programme with this id.

    Refuses: NOT_FOUND.
    """
    bank = _BY_ID.get(BankId(bank_id))
    if bank is None:
        raise Refused(Reason.NOT_FOUND, bank=str(bank_id))
    return bank


async def establish(work: Work, banks: Sequence[Bank] = PROGRAMME) -> None:
    """Write the banks down; repeating it changes nothing.

    Refuses: nothing.
    """
    await work.execute(
        _ESTABLISH,
        [b.id for b in banks],
        [b.name_km for b in banks],
        [b.name_en for b in banks],
        [b.iin for b in banks],
        [b.settlement_khqr_id for b in banks],
    )


_ESTABLISH: Final = """
insert into banks (id, name_km, name_en, iin, settlement_khqr_id)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
on conflict (id) do nothing
"""


async def every(work: Work) -> list[Bank]:
    """All banks, by id."""
    return await work.structs(Bank, _EVERY)


_EVERY: Final = "select id, name_km, name_en, iin, settlement_khqr_id from banks order by id"
