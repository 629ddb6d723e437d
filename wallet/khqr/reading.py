"""Reading a code: sound elements first, then what they mean. No text raises; every loop moves on.

Stricter than the National Bank's SDK, whose reader takes two accounts, repeated elements (the last
wins), riel with decimals and amounts that are no number.
"""

import enum
import re
from typing import Final

from wallet.khqr.code import Form, Initiation, Khqr, checksum
from wallet.money import Currency

LONGEST_TEXT: Final = 512


class Fault(enum.StrEnum):
    """Why a text is not a code we pay. One is answered, the first found."""

    LENGTH = "length"  # empty, or above 512 characters
    CHARSET = "charset"  # control characters, surrogates, beyond U+FFFF
    STRUCTURE = "structure"  # not whole elements of two digits, two digits, value
    DUPLICATE = "duplicate"
    EMPTY_VALUE = "empty_value"
    CHECKSUM = "checksum"  # missing, not last, not hexadecimal, or wrong
    FORMAT = "format"
    INITIATION = "initiation"
    FOREIGN = "foreign"  # a sound code of another country
    COUNTRY = "country"
    ACCOUNT_TYPE = "account_type"  # neither or both of templates 29 and 30
    ACCOUNT = "account"
    ACCOUNT_DETAIL = "account_detail"
    CATEGORY = "category"
    CURRENCY = "currency"
    NAME = "name"
    CITY = "city"
    ADDITIONAL_DATA = "additional_data"
    LANGUAGE = "language"
    TIP = "tip"  # asks for a tip or fee on top: we would underpay
    AMOUNT = "amount"
    FRACTIONAL_RIEL = "fractional_riel"
    AMOUNT_MISSING = "amount_missing"
    EXPIRY_MISSING = "expiry_missing"
    EXPIRY = "expiry"  # before its own creation
    EXPIRED = "expired"


def read(text: str, now_ms: int) -> Khqr | Fault:
    """Read a code as it stands at `now_ms` (Unix milliseconds); its last millisecond still pays."""
    elements = _sound_elements(text)
    if isinstance(elements, Fault):
        return elements
    return _meaning(elements, now_ms)


_TWO_DIGITS: Final = {f"{n:02d}": n for n in range(100)}
_UNWANTED: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\U00010000-\U0010ffff]")
_ACCOUNT: Final = re.compile(r"[^@\s]+@[A-Za-z0-9._-]+")
_AMOUNT: Final = re.compile(r"([0-9]{1,13})(?:\.([0-9]{0,2}))?")
_FOUR_DIGITS: Final = re.compile(r"[0-9]{4}")
_THIRTEEN_DIGITS: Final = re.compile(r"[0-9]{13}")
_NONE: Final[dict[str, str]] = {}


def _sound_elements(text: str) -> dict[str, str] | Fault:
    """Top-level elements of a text that is whole and carries its own right checksum."""
    if not 1 <= len(text) <= LONGEST_TEXT:
        return Fault.LENGTH
    # Plain ASCII is the common case, and there `isprintable` means just "no controls".
    if not text.isprintable() if text.isascii() else _UNWANTED.search(text):
        return Fault.CHARSET
    elements = _elements(text)
    if isinstance(elements, Fault):
        return elements
    if "" in elements.values():
        return Fault.EMPTY_VALUE
    tag, given = elements.popitem()
    if tag != "63" or not given.isascii() or given.upper() != checksum(text[:-4]):
        return Fault.CHECKSUM
    return elements


def _elements(text: str) -> dict[str, str] | Fault:
    found: dict[str, str] = {}
    at, end = 0, len(text)
    while at < end:
        tag = text[at : at + 2]
        size = _TWO_DIGITS.get(text[at + 2 : at + 4])
        if size is None or tag not in _TWO_DIGITS:
            return Fault.STRUCTURE
        start, at = at + 4, at + 4 + size
        if at > end:
            return Fault.STRUCTURE
        if tag in found:
            return Fault.DUPLICATE
        found[tag] = text[start:at]
    return found


def _meaning(top: dict[str, str], now_ms: int) -> Khqr | Fault:
    fault = _frame_fault(top)
    if fault is not None:
        return fault
    form = Form.INDIVIDUAL if "29" in top else Form.MERCHANT
    account = _elements(top[form.value])
    more = _elements(top["62"]) if "62" in top else _NONE
    other = _elements(top["64"]) if "64" in top else _NONE
    times = _elements(top["99"]) if "99" in top else _NONE
    if isinstance(account, Fault):
        return account
    if isinstance(more, Fault):
        return more
    if isinstance(other, Fault):
        return other
    if isinstance(times, Fault):
        return times
    currency = Currency.from_numeric(top.get("53", ""))
    if currency is None:
        return Fault.CURRENCY
    amount = _amount_minor(top["54"], currency) if "54" in top else None
    if isinstance(amount, Fault):
        return amount
    fault = (
        _account_fault(account, form)
        or _text_fault(top, more, other)
        or _time_fault(top, times, now_ms)
    )
    return fault or _assembled(form, currency, amount, top, account, more, other, times)


def _frame_fault(top: dict[str, str]) -> Fault | None:
    """Format and country first: a Thai code should hear that it is foreign, not what it lacks."""
    if top.get("00") != "01":
        return Fault.FORMAT
    country = top.get("58")
    if country != "KH":
        return Fault.COUNTRY if country is None else Fault.FOREIGN
    if top.get("01", "11") not in ("11", "12"):
        return Fault.INITIATION
    if ("29" in top) is ("30" in top):
        return Fault.ACCOUNT_TYPE
    if "55" in top or "56" in top or "57" in top:
        return Fault.TIP
    return None


def _account_fault(account: dict[str, str], form: Form) -> Fault | None:
    name = account.get("00", "")
    if len(name) > 32 or not _ACCOUNT.fullmatch(name):
        return Fault.ACCOUNT
    if form is Form.MERCHANT and "01" not in account:
        return Fault.ACCOUNT_DETAIL
    if not (_fits(account, "01", 32) and _fits(account, "02", 32)):
        return Fault.ACCOUNT_DETAIL
    return None


def _text_fault(top: dict[str, str], more: dict[str, str], other: dict[str, str]) -> Fault | None:
    if not _FOUR_DIGITS.fullmatch(top.get("52", "")):
        return Fault.CATEGORY
    if not 1 <= len(top.get("59", "")) <= 25:
        return Fault.NAME
    if not 1 <= len(top.get("60", "")) <= 15:
        return Fault.CITY
    if more and not all(_fits(more, tag, 25) for tag in ("01", "02", "03", "07", "08")):
        return Fault.ADDITIONAL_DATA
    if other and (
        ("00" in other) is not ("01" in other)
        or not (_fits(other, "00", 2) and _fits(other, "01", 25) and _fits(other, "02", 15))
    ):
        return Fault.LANGUAGE
    return None


def _fits(template: dict[str, str], tag: str, longest: int) -> bool:
    value = template.get(tag)
    return value is None or 1 <= len(value) <= longest


def _amount_minor(text: str, currency: Currency) -> int | Fault:
    match = _AMOUNT.fullmatch(text) if len(text) <= 13 else None
    if match is None:
        return Fault.AMOUNT
    whole, fraction = match[1], match[2] or ""
    if currency is Currency.USD:
        return int(whole + fraction.ljust(2, "0")) or Fault.AMOUNT
    # Older writers print riel as `5000.0`: read it, but never round half a riel away.
    if fraction.strip("0"):
        return Fault.FRACTIONAL_RIEL
    return int(whole) or Fault.AMOUNT


def _time_fault(top: dict[str, str], times: dict[str, str], now_ms: int) -> Fault | None:
    if "54" not in top:
        # Bank codes in use carry a creation time alone: a static code's times are not judged.
        return Fault.AMOUNT_MISSING if top.get("01") == "12" else None
    expires = times.get("01", "")
    if not _THIRTEEN_DIGITS.fullmatch(expires):
        return Fault.EXPIRY_MISSING
    created = times.get("00", "")
    if _THIRTEEN_DIGITS.fullmatch(created) and expires < created:
        return Fault.EXPIRY
    return Fault.EXPIRED if int(expires) < now_ms else None


def _assembled(
    form: Form,
    currency: Currency,
    amount_minor: int | None,
    top: dict[str, str],
    account: dict[str, str],
    more: dict[str, str],
    other: dict[str, str],
    times: dict[str, str],
) -> Khqr:
    return Khqr(
        form=form,
        account=account["00"],
        detail=account.get("01"),
        bank=account.get("02"),
        category=top["52"],
        currency=currency,
        amount_minor=amount_minor,
        name=top["59"],
        city=top["60"],
        initiation=Initiation(top["01"]) if "01" in top else None,
        union_pay=top.get("15"),
        bill=more.get("01"),
        mobile=more.get("02"),
        store=more.get("03"),
        terminal=more.get("07"),
        purpose=more.get("08"),
        language=other.get("00"),
        other_name=other.get("01"),
        other_city=other.get("02"),
        created_ms=_milliseconds(times.get("00")),
        expires_ms=_milliseconds(times.get("01")),
    )


def _milliseconds(text: str | None) -> int | None:
    return int(text) if text is not None and _THIRTEEN_DIGITS.fullmatch(text) else None
