"""What a KHQR code says, and how that is laid out as text.

Elements are an id of two digits, a length of two digits counting characters, and the value. The
last one is a CRC-16 over the UTF-8 bytes of everything before its own four digits.
"""

import binascii
import enum
import hashlib

from msgspec import Struct

from wallet.money import Currency, Money


class Form(enum.StrEnum):
    """Whose account is named. An individual form with a `detail` is a remittance to it."""

    INDIVIDUAL = "29"
    MERCHANT = "30"


class Initiation(enum.StrEnum):
    STATIC = "11"
    DYNAMIC = "12"


class Khqr(Struct, frozen=True, kw_only=True, gc=False):
    """What a code says. Texts are verbatim; times are Unix milliseconds."""

    form: Form
    account: str  # name@bank
    detail: str | None = None  # 29.01 account number or phone; 30.01 merchant id
    bank: str | None = None
    category: str
    currency: Currency
    amount_minor: int | None = None
    name: str
    city: str
    initiation: Initiation | None = None
    union_pay: str | None = None
    bill: str | None = None
    mobile: str | None = None
    store: str | None = None
    terminal: str | None = None
    purpose: str | None = None
    language: str | None = None
    other_name: str | None = None
    other_city: str | None = None
    created_ms: int | None = None
    expires_ms: int | None = None

    @property
    def amount(self) -> Money | None:
        return None if self.amount_minor is None else Money(self.amount_minor, self.currency)


def encode(code: Khqr) -> str:
    """Lay out a read code in the SDK's order. Elements the reader ignores are not kept."""
    account = _joined(("00", code.account), ("01", code.detail), ("02", code.bank))
    more = _joined(
        ("01", code.bill),
        ("02", code.mobile),
        ("03", code.store),
        ("07", code.terminal),
        ("08", code.purpose),
    )
    other = _joined(("00", code.language), ("01", code.other_name), ("02", code.other_city))
    times = _joined(("00", _digits13(code.created_ms)), ("01", _digits13(code.expires_ms)))
    minor = code.amount_minor
    amount = None if minor is None else amount_text(minor, code.currency)
    body = _joined(
        ("00", "01"),
        ("01", code.initiation),
        ("15", code.union_pay),
        (code.form, account),
        ("52", code.category),
        ("53", code.currency.numeric),
        ("54", amount),
        ("58", "KH"),
        ("59", code.name),
        ("60", code.city),
        ("62", more or None),
        ("64", other or None),
        ("99", times or None),
    )
    return f"{body}6304{checksum(body + '6304')}"


def md5(text: str) -> str:
    """The key Bakong looks a dynamic code up by. Take it of the text as issued or as scanned."""
    return hashlib.md5(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def amount_text(minor: int, currency: Currency) -> str:
    """As the SDK writes it: whole riel; dollars bare when whole, else with two decimals."""
    if currency is Currency.KHR:
        return str(minor)
    whole, cents = divmod(minor, 100)
    return f"{whole}.{cents:02d}" if cents else str(whole)


def checksum(text: str) -> str:
    return f"{binascii.crc_hqx(text.encode(), 0xFFFF):04X}"


def _joined(*elements: tuple[str, str | None]) -> str:
    return "".join(f"{tag}{len(text):02d}{text}" for tag, text in elements if text is not None)


def _digits13(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else f"{milliseconds:013d}"
