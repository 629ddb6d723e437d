"""Cambodian mobile numbers: reading what people type, proposing the operator, showing safely.

Promise: a number is E.164 or refused; the prefix only proposes an operator (numbers may have
moved), the provider's own look-up wins. Pure. Who calls: buying, the phone's door.
"""

import re
from typing import Final, NewType

import phonenumbers

from wallet.outcomes import Reason, Refused

Msisdn = NewType("Msisdn", str)
"""A Cambodian mobile number in E.164: `+85510234567`."""

OPERATORS: Final = {
    "CELLCARD": "Cellcard",
    "SMART": "Smart",
    "METFONE": "Metfone",
    "SEATEL": "Seatel",
    "COOTEL": "CooTel",
    "QB": "qb",
}
"""Operators by code, with the name people know them by."""

PREFIXES: Final = {
    "CELLCARD": "11 12 14 17 61 76 77 78 79 85 89 92 95 99",
    "SMART": "10 15 16 69 70 81 86 87 93 96 98",
    "METFONE": "31 60 66 67 68 71 88 90 97",
    "SEATEL": "18",
    "COOTEL": "38",
    "QB": "13 80 83 84",
}
"""The number blocks as handed out; 19, 91 and 94 are valid numbers without an owner."""

_OPERATOR_BY_PREFIX: Final = {
    prefix: operator for operator, blocks in PREFIXES.items() for prefix in blocks.split()
}
# No letters: the parser below would read them as the keys of a telephone.
_TYPED: Final = re.compile(r"[0-9០-៩+ ().\-]{1,32}")
_INVISIBLE: Final = str.maketrans("", "", "\u200b\u200c\u200d\u00ad\ufeff")


def read_number(typed: str) -> Msisdn:
    """What a person typed or picked, as E.164. Khmer digits, spaces and +855 are understood.

    Refuses: phone_invalid (not a Cambodian mobile number, or one digit short or long).
    """
    text = typed.translate(_INVISIBLE).strip()
    if not _TYPED.fullmatch(text):
        raise Refused(Reason.PHONE_INVALID)
    try:
        number = phonenumbers.parse(text, "KH")
    except phonenumbers.NumberParseException:
        raise Refused(Reason.PHONE_INVALID) from None
    mobile = phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.MOBILE
    if number.country_code != 855 or not mobile:
        raise Refused(Reason.PHONE_INVALID)
    return Msisdn(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def propose_operator(number: Msisdn) -> str | None:
    """The operator the number's block was given to; None when the block has no owner."""
    return _OPERATOR_BY_PREFIX.get(_national(number)[:2])


def grouped(number: Msisdn) -> str:
    """The number as Cambodians write it, in groups one can check: `010 234 567`."""
    national = _national(number)
    return f"0{national[:2]} {national[2:5]} {national[5:]}"


def masked_number(number: Msisdn) -> str:
    """The number with its middle hidden: `010 ••• 567`."""
    national = _national(number)
    return f"0{national[:2]} ••• {national[5:]}"


def _national(number: Msisdn) -> str:
    return number.removeprefix("+855")
