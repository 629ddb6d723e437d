"""What the holder reads and signs before paying, in English and Khmer.

A name is said to be the account holder's only when the registry says so; every other name is the
code's, and says so.
"""

import enum

from msgspec import Struct

from wallet.khqr import shown
from wallet.money import Money
from wallet.qr.scanning import Scan, account_shown


class Warned(enum.StrEnum):
    """What is odd about a payee never paid before."""

    NOTHING = ""
    SAME_NAME_ELSEWHERE = "same_name_elsewhere"
    LOOK_ALIKE = "look_alike"
    MIXED_ALPHABETS = "mixed_alphabets"


class Payee(Struct, frozen=True, kw_only=True):
    """A payee as shown. `ours`: the name is the registry's, of one of our own wallets."""

    name_en: str
    name_km: str
    ours: bool = False


def payee_in_code(scan: Scan) -> Payee:
    name = shown(scan.code.name)
    return Payee(name_en=name, name_km=name)


def text_en(scan: Scan, payee: Payee, warned: Warned) -> str:
    source = "the account holder" if payee.ours else "name as written in the code"
    city = "" if payee.ours else f", {shown(scan.code.city)}"
    lines = [
        f"Pay {scan.money.display('en')} to “{payee.name_en}”{city} ({source}).",
        f"Account: {account_shown(scan.code)}.",
        *([f"Bill: {shown(scan.code.bill)}."] if scan.code.bill else []),
        *([_WARNINGS_EN[warned]] if warned else []),
    ]
    return " ".join(lines)


def text_km(scan: Scan, payee: Payee, warned: Warned) -> str:
    source = "ម្ចាស់គណនី" if payee.ours else "ឈ្មោះតាមដែលសរសេរក្នុងកូដ"
    city = "" if payee.ours else f" {shown(scan.code.city)}"
    lines = [
        f"បង់ {scan.money.display('km')} ទៅ «{payee.name_km}»{city} ({source})។",
        f"គណនី៖ {account_shown(scan.code)}។",
        *([f"វិក្កយបត្រ៖ {shown(scan.code.bill)}។"] if scan.code.bill else []),
        *([_WARNINGS_KM[warned]] if warned else []),
    ]
    return " ".join(lines)


def said(money: Money) -> str:
    return money.display("en")


_WARNINGS_EN = {
    Warned.SAME_NAME_ELSEWHERE: "Note: you have paid this name before, at another account.",
    Warned.LOOK_ALIKE: (
        "Careful: this name only looks like one you have paid before; the account is another."
    ),
    Warned.MIXED_ALPHABETS: (
        "Careful: this name mixes letters of several alphabets, as false names do."
    ),
}
_WARNINGS_KM = {
    Warned.SAME_NAME_ELSEWHERE: "ចំណាំ៖ អ្នកធ្លាប់បង់ទៅឈ្មោះនេះ ប៉ុន្តែគណនីផ្សេង។",
    Warned.LOOK_ALIKE: "ប្រយ័ត្ន៖ ឈ្មោះនេះគ្រាន់តែស្រដៀងនឹងឈ្មោះដែលអ្នកធ្លាប់បង់ ហើយគណនីខុសគ្នា។",
    Warned.MIXED_ALPHABETS: "ប្រយ័ត្ន៖ ឈ្មោះនេះលាយអក្សរពីភាសាផ្សេងគ្នា ដូចឈ្មោះក្លែងក្លាយ។",
}
