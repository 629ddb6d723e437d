"""Enrolment: a person with a card in hand gets wallets and may pay; one by one or by the hundred
thousand.

Promise: person, Smart ID, riel and dollar wallet are written by their owners in one Work, in one
statement each. Repeating it changes nothing. Owns no table. Who calls: seed, benchmarks, tests.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from wallet.identifiers import BankId, SmartIdId, luhn_digit
from wallet.ledger.chart import NewWallet, open_wallets
from wallet.money import Currency
from wallet.outcomes import Reason, Refused
from wallet.registry import holders, smart_ids
from wallet.registry.banks import PHYSICAL, PROGRAMME, named
from wallet.registry.holders import Holder
from wallet.registry.smart_ids import IdentityState, PaymentState, SmartId, expiry_of
from wallet.vault import Vault
from wallet.work import Work

AT_ONCE: Final = 20_000
"""People in one Work: what stays well within the statement time-out."""

LARGEST_SERIAL: Final = 9_999_999


class Newcomer(Struct, frozen=True, kw_only=True):
    """A person who holds a printed card. `serial` (per bank, from 1) gives all numbers."""

    holder: Holder
    smart_id_id: SmartIdId
    serial: int
    issued_on: date


def smart_id_number(bank: BankId, serial: int) -> str:
    """The 16 digits printed on a card: IIN, 00, seven digits, Luhn. Test range 9116."""
    _in_range(serial)
    digits = f"{named(bank).iin}{PHYSICAL}{serial:07d}"
    return digits + luhn_digit(digits)


def wallet_number(bank: BankId, currency: Currency, serial: int) -> str:
    """Ten digits: bank, currency and serial in nine, and Luhn. Unique over all banks."""
    _in_range(serial)
    place = next(i for i, known in enumerate(PROGRAMME, 1) if known.id == bank)
    digits = f"{place}{'1' if currency is Currency.KHR else '2'}{serial:07d}"
    return digits + luhn_digit(digits)


def _in_range(serial: int) -> None:
    if not 0 < serial <= LARGEST_SERIAL:
        raise Refused(Reason.INVALID_REQUEST, field="serial")


async def bulk_enrol(work: Work, vault: Vault, people: Sequence[Newcomer]) -> None:
    """Enrol people of the Work's bank, at most AT_ONCE of them: VALID, ACTIVE, two wallets each.

    Refuses: INVALID_REQUEST (too many, or of another bank), CONFLICT (a number is taken).
    """
    bank = work.bank
    if bank is None or len(people) > AT_ONCE or any(p.holder.bank != bank for p in people):
        raise Refused(Reason.INVALID_REQUEST, field="people")
    await holders.bring_in(work, [person.holder for person in people])
    for issued_on in sorted({person.issued_on for person in people}):
        issued = [person for person in people if person.issued_on == issued_on]
        sealed = await smart_ids.seal_numbers(
            work,
            vault,
            bank,
            issued_on,
            {person.smart_id_id: smart_id_number(bank, person.serial) for person in issued},
        )
        await smart_ids.bring_in(work, [_valid(person) for person in issued], sealed)
    await open_wallets(
        work,
        [
            NewWallet(
                holder_id=person.holder.id,
                currency=currency,
                number=wallet_number(bank, currency, person.serial),
            )
            for currency in Currency
            for person in people
        ],
    )


def _valid(person: Newcomer) -> SmartId:
    return SmartId(
        id=person.smart_id_id,
        bank=person.holder.bank,
        holder_id=person.holder.id,
        identity_state=IdentityState.VALID,
        payment_state=PaymentState.ACTIVE,
        issued_on=person.issued_on,
        expires_on=expiry_of(person.issued_on),
    )
