"""The sentences a holder reads and signs before anything happens to a card.

Promise: both languages say the same, name the act first, and show the last four digits at most.
Owns no table. Who calls: the intent kinds of this package.
"""

from datetime import date, datetime
from typing import Final

from msgspec import Struct

from wallet.cards.numbers import printed_expiry
from wallet.cards.states import Card, CardKind
from wallet.clock import PHNOM_PENH
from wallet.money import Currency, Money


class Sentence(Struct, frozen=True):
    en: str
    km: str


_KIND: Final = {
    CardKind.OPEN: Sentence("virtual card", "កាតនិម្មិត"),
    CardKind.SINGLE_USE: Sentence("single-use virtual card", "កាតនិម្មិតប្រើតែម្តង"),
    CardKind.MERCHANT_LOCKED: Sentence("virtual card locked to one shop", "កាតនិម្មិតសម្រាប់ហាងតែមួយ"),
}
_CURRENCY_KM: Final = {Currency.KHR: "ប្រាក់រៀល", Currency.USD: "ប្រាក់ដុល្លារ"}


def create(
    kind: CardKind, currency: Currency, label: str, expires_on: date, fee: Money | None
) -> Sentence:
    named_en = f" “{label}”" if label else ""
    until = printed_expiry(expires_on)
    word = _KIND[kind]
    return Sentence(
        f"Create card: a {word.en}{named_en}, paid from your {currency.value} wallet, "
        f"valid until {until}.{_fee(fee).en}",
        f"បង្កើតកាត៖ {word.km}{named_en} បង់ពីកាបូប{_CURRENCY_KM[currency]}របស់អ្នក "
        f"មានសុពលភាពដល់ {until}។{_fee(fee).km}",
    )


def claim(card: Card, fee: Money | None) -> Sentence:
    made = when(card.made_at)
    return Sentence(
        f"Claim card {dotted(card)}: the virtual card asked for at {card.terminal_name} "
        f"on {made}.{_fee(fee).en}",
        f"ទទួលយកកាត {dotted(card)}៖ កាតនិម្មិតដែលបានស្នើនៅ {card.terminal_name} "
        f"នៅ {made}។{_fee(fee).km}",
    )


def reveal(card: Card) -> Sentence:
    return Sentence(
        f"Show the number, expiry date and security code of card {dotted(card)} on this phone.",
        f"បង្ហាញលេខ ថ្ងៃផុតកំណត់ និងលេខកូដសុវត្ថិភាពរបស់កាត {dotted(card)} នៅលើទូរស័ព្ទនេះ។",
    )


def unfreeze(card: Card) -> Sentence:
    return Sentence(
        f"Unfreeze card {dotted(card)}: it can pay again.",
        f"ដោះការបង្កកកាត {dotted(card)}៖ កាតអាចប្រើបង់ប្រាក់វិញបាន។",
    )


def close(card: Card) -> Sentence:
    return Sentence(
        f"Close card {dotted(card)} for good. It cannot be opened again.",
        f"បិទកាត {dotted(card)} ជារៀងរហូត។ មិនអាចបើកវិញបានទេ។",
    )


def unfreeze_smart_id(last_four: str | None) -> Sentence:
    number = f"•••• {last_four}" if last_four else ""
    return Sentence(
        f"Unfreeze payments with your Smart ID {number}: it and its virtual cards can pay again.",
        f"ដោះការបង្កកការបង់ប្រាក់ដោយ Smart ID {number}៖ កាតនេះ និងកាតនិម្មិតរបស់វាអាចប្រើបង់ប្រាក់វិញបាន។",
    )


def dotted(card: Card) -> str:
    return f"•••• {card.last_four}"


def when(moment: datetime) -> str:
    """A moment as Cambodians read a clock: `12/01/2026 09:05`."""
    return f"{moment.astimezone(PHNOM_PENH):%d/%m/%Y %H:%M}"


def _fee(fee: Money | None) -> Sentence:
    if fee is None:
        return Sentence("", "")
    return Sentence(f" Fee: {fee.display('en')}.", f" ថ្លៃសេវា៖ {fee.display('km')}។")
