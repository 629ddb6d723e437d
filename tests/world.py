"""People and money for tests of any room: made through the owners' own acts."""

import itertools
import os
from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from runtime import cambodia
from wallet.identifiers import AccountId, AgencyId, BankId, HolderId, SmartIdId, TransferId, new_id
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account, wallets_of
from wallet.money import Currency, Money
from wallet.registry import agencies, banks, enrolment, holders
from wallet.registry.enrolment import Newcomer
from wallet.registry.holders import Holder, HolderStatus
from wallet.vault import Plain, SoftwareKeyStore, Vault
from wallet.work import SYSTEM, Work, Works

ISSUED_ON = date(2025, 1, 6)
"""A year before the tests' first moment."""

MCS = AgencyId("MCS")

_places = itertools.count(10_000)


class WorldHolder(Struct, frozen=True, kw_only=True):
    """A person with a valid Smart ID and both wallets. `smart_id_number` is what is printed."""

    id: HolderId
    bank: BankId
    agency: AgencyId
    staff_no: str
    name_latin: str
    name_khmer: str
    language: str
    smart_id_id: SmartIdId
    smart_id_number: str
    khr: AccountId
    usd: AccountId
    khr_number: str
    usd_number: str

    @property
    def wallet_ids(self) -> list[AccountId]:
        return [self.khr, self.usd]


class _Unopenable(Vault):
    """Stands in where a test never opens what is sealed."""

    def __init__(self) -> None:
        super().__init__(SoftwareKeyStore(bytes(32)))

    async def seal_many(self, work: object, fields: Sequence[Plain]) -> list[bytes]:
        return [os.urandom(64) for _ in fields]


async def establish(works: Works, *agency_ids: str) -> None:
    """The three banks, the seventeen agencies, and any other agencies a test invents."""
    known = {agency.id: agency for agency in cambodia.AGENCIES}
    invented = [
        agencies.Agency(
            id=AgencyId(code), name_km=code, name_en=code, kind=agencies.AgencyKind.MINISTRY
        )
        for code in agency_ids
        if code not in known
    ]

    async def act(work: Work) -> None:
        await banks.establish(work)
        await agencies.establish(work, [*known.values(), *invented])

    await works.perform(SYSTEM, None, act)


async def holder(
    works: Works,
    *,
    bank: str = "ACLEDA",
    agency: str = "MCS",
    khr: int = 0,
    usd: int = 0,
    language: str | None = None,
    phone: str | None = None,
    vault: Vault | None = None,
) -> WorldHolder:
    """One person; `khr` riel and `usd` cents come from the bank's treasury account.

    A test that opens sealed fields (the number, the telephone) passes its own `vault`.
    """
    made = await people(
        works, 1, bank=bank, agency=agency, khr=khr, usd=usd, language=language, vault=vault
    )
    if phone is not None:
        assert vault is not None, "a telephone number is sealed: pass the vault"
        await works.perform(
            SYSTEM,
            BankId(bank),
            lambda work: holders.set_phones(work, vault, {made[0].id: phone}),
        )
    return made[0]


async def people(
    works: Works,
    count: int,
    *,
    bank: str = "ACLEDA",
    agency: str = "MCS",
    khr: int = 0,
    usd: int = 0,
    language: str | None = None,
    vault: Vault | None = None,
) -> list[WorldHolder]:
    """`count` people of one bank and agency, in one Work."""
    await establish(works, agency)
    newcomers = [newcomer(BankId(bank), AgencyId(agency), language) for _ in range(count)]

    async def act(work: Work) -> list[WorldHolder]:
        await enrolment.bulk_enrol(work, vault or _Unopenable(), newcomers)
        ids = [newcomer.holder.id for newcomer in newcomers]
        riel = await wallets_of(work, ids, Currency.KHR)
        dollars = await wallets_of(work, ids, Currency.USD)
        money = [(riel[i], Money.khr(khr)) for i in ids] + [
            (dollars[i], Money.usd(usd)) for i in ids
        ]
        await _pay_in(work, [(account, amount) for account, amount in money if amount.minor])
        return [_known(n, riel[n.holder.id], dollars[n.holder.id]) for n in newcomers]

    return await works.perform(SYSTEM, BankId(bank), act)


async def fund(works: Works, bank: str, account: AccountId, money: Money) -> TransferId:
    """Pay more money into a wallet, from the bank's treasury account."""

    async def act(work: Work) -> TransferId:
        return (await _pay_in(work, [(account, money)]))[0]

    return await works.perform(SYSTEM, BankId(bank), act)


async def _pay_in(work: Work, amounts: Sequence[tuple[AccountId, Money]]) -> list[TransferId]:
    if not amounts:
        return []
    treasury = {
        currency: await house_account(work, AccountKind.TREASURY, currency)
        for currency in sorted({money.currency for _, money in amounts}, key=lambda c: c.value)
    }
    postings = [
        Posting(
            id=TransferId(new_id()),
            debit=treasury[money.currency],
            credit=account,
            money=money,
            kind=TransferKind.OPENING,
        )
        for account, money in amounts
    ]
    book = await open_book(
        work,
        accounts=[*treasury.values(), *(posting.credit for posting in postings)],
        ids=[posting.id for posting in postings],
    )
    for posting in postings:
        assert isinstance(book.post(posting), Posted)
    await book.write()
    return [posting.id for posting in postings]


def newcomer(bank: BankId, agency: AgencyId = MCS, language: str | None = None) -> Newcomer:
    """Somebody who can be enrolled and is not yet."""
    place = next(_places)
    invented = cambodia.person(place, agency, has_card=True)
    return Newcomer(
        holder=Holder(
            id=HolderId(new_id()),
            bank=bank,
            agency=agency,
            staff_no=invented.staff_no,
            name_latin=invented.name_latin,
            name_khmer=invented.name_khmer,
            language=language or "km",
            status=HolderStatus.ACTIVE,
        ),
        smart_id_id=SmartIdId(new_id()),
        serial=place,
        issued_on=ISSUED_ON,
    )


def _known(newcomer: Newcomer, riel: AccountId, dollars: AccountId) -> WorldHolder:
    person, serial = newcomer.holder, newcomer.serial
    return WorldHolder(
        id=person.id,
        bank=person.bank,
        agency=person.agency,
        staff_no=person.staff_no,
        name_latin=person.name_latin,
        name_khmer=person.name_khmer,
        language=person.language,
        smart_id_id=newcomer.smart_id_id,
        smart_id_number=enrolment.smart_id_number(person.bank, serial),
        khr=riel,
        usd=dollars,
        khr_number=enrolment.wallet_number(person.bank, Currency.KHR, serial),
        usd_number=enrolment.wallet_number(person.bank, Currency.USD, serial),
    )
