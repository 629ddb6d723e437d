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
from wallet.exchange import RateSheet, other, rate_text
from wallet.money import Currency, Money


class Sentence(Struct, frozen=True):
    en: str
    km: str


_KIND: Final = {
    CardKind.OPEN: Sentence("virtual card", "កាតនិម្មិត"),
    CardKind.SINGLE_USE: Sentence("single-use virtual card", "កាតនិម្មិតប្រើតែម្តង"),
    CardKind.MERCHANT_LOCKED: Sentence("virtual card locked to one shop", "កាតនិម្មិតសម្រាប់ហាងតែមួយ"),
    CardKind.RECURRING: Sentence(
        "virtual card for one subscription", "កាតនិម្មិតសម្រាប់ការបង់ប្រាក់ជាប្រចាំតែមួយ"
    ),
}
_CURRENCY_KM: Final = {Currency.KHR: "ប្រាក់រៀល", Currency.USD: "ប្រាក់ដុល្លារ"}


class Wish(Struct, frozen=True, kw_only=True):
    """A card asked for, as its sentence tells it. `rate`: where it pays in both currencies."""

    kind: CardKind
    currency: Currency
    label: str
    expires_on: date
    merchant: str | None = None
    rate: RateSheet | None = None
    fee: Money | None = None


def create(wish: Wish) -> Sentence:
    named = f" “{wish.label}”" if wish.label else ""
    until = printed_expiry(wish.expires_on)
    word, extra = _KIND[wish.kind], (_merchant(wish.merchant), _rate(wish.currency, wish.rate))
    fee = _fee(wish.fee)
    return Sentence(
        f"Create card: a {word.en}{named}, paid from your {wish.currency.value} wallet, "
        f"valid until {until}.{''.join(part.en for part in extra)}{fee.en}",
        f"បង្កើតកាត៖ {word.km}{named} បង់ពីកាបូប{_CURRENCY_KM[wish.currency]}របស់អ្នក "
        f"មានសុពលភាពដល់ {until}។{''.join(part.km for part in extra)}{fee.km}",
    )


def _merchant(name: str | None) -> Sentence:
    if name is None:
        return Sentence("", "")
    return Sentence(f" It pays “{name}” alone.", f" កាតនេះបង់បានតែ “{name}” ប៉ុណ្ណោះ។")


def _rate(currency: Currency, rate: RateSheet | None) -> Sentence:
    if rate is None:
        return Sentence("", "")
    asked = other(currency)
    mid = rate_text(rate.mid_hundredths)
    kept = f"{rate.spread_bps // 100}.{rate.spread_bps % 100:02d}%"
    return Sentence(
        f" Purchases in {asked.value} are exchanged at the bank's rate of the moment "
        f"(now 1 USD = {mid} KHR); the bank keeps {kept}.",
        f" ការទិញជា{_CURRENCY_KM[asked]}ត្រូវប្តូរតាមអត្រារបស់ធនាគារនៅពេលទិញ "
        f"(ឥឡូវនេះ ១ ដុល្លារ = {mid} រៀល) ហើយធនាគារយក {kept}។",
    )


def renew(card: Card, expires_on: date) -> Sentence:
    until = printed_expiry(expires_on)
    return Sentence(
        f"Replace card {dotted(card)} by one with a new number, valid until {until}. "
        f"Its limits, its shop and its subscriptions stay; the old number stops.",
        f"ជំនួសកាត {dotted(card)} ដោយកាតដែលមានលេខថ្មី មានសុពលភាពដល់ {until}។ "
        f"ដែនកំណត់ ហាង និងការបង់ប្រាក់ជាប្រចាំនៅដដែល លេខចាស់ឈប់ប្រើបាន។",
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


def tokenise(card: Card, wallet: str, device: str) -> Sentence:
    return Sentence(
        f"Add card {dotted(card)} to {_WALLET[wallet]} on “{device}”: it can pay from there.",
        f"បន្ថែមកាត {dotted(card)} ទៅ {_WALLET[wallet]} លើ “{device}”៖ កាតអាចបង់ប្រាក់ពីទីនោះបាន។",
    )


_WALLET: Final = {"apple": "Apple Wallet", "google": "Google Wallet", "samsung": "Samsung Wallet"}


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


def unfreeze_cards(last_four: str | None) -> Sentence:
    number = f"•••• {last_four}" if last_four else ""
    return Sentence(
        f"Let the virtual cards of your Smart ID {number} pay again. "
        f"The Smart ID itself stays frozen.",
        f"ឱ្យកាតនិម្មិតនៃ Smart ID {number} អាចបង់ប្រាក់វិញ។ Smart ID ខ្លួនវានៅតែបង្កកដដែល។",
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
