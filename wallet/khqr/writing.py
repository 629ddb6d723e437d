"""Writing a code by the National Bank's SDK: the same text to the byte, or the same error code."""

import enum
import re
from typing import Final

from msgspec import Struct

from wallet.khqr.code import Form, Initiation, Khqr, amount_text, encode
from wallet.khqr.reading import read
from wallet.money import Currency, Money


class SdkError(enum.IntEnum):
    """The National Bank's SDK error codes that writing can meet, by its numbers."""

    ACCOUNT_REQUIRED = 1
    NAME_REQUIRED = 2
    ACCOUNT_INVALID = 3
    AMOUNT_INVALID = 4
    ACCOUNT_LENGTH = 6
    NAME_LENGTH = 7
    KHQR_INVALID = 8
    BILL_LENGTH = 10
    STORE_LENGTH = 11
    TERMINAL_LENGTH = 12
    CATEGORY_LENGTH = 18
    CITY_LENGTH = 21
    CURRENCY_UNSUPPORTED = 28
    MERCHANT_ID_REQUIRED = 30
    BANK_REQUIRED = 31
    MERCHANT_ID_LENGTH = 32
    BANK_LENGTH = 33
    MOBILE_LENGTH = 34
    ACCOUNT_DETAIL_LENGTH = 35
    LANGUAGE_REQUIRED = 37
    LANGUAGE_LENGTH = 38
    OTHER_NAME_REQUIRED = 39
    OTHER_NAME_LENGTH = 40
    OTHER_CITY_LENGTH = 41
    PURPOSE_LENGTH = 42
    UNION_PAY_LENGTH = 43
    UNION_PAY_WITH_USD = 44
    EXPIRY_REQUIRED = 45
    EXPIRY_LENGTH = 49
    EXPIRY_BEFORE_CREATION = 50
    CATEGORY_INVALID = 51


class Draft(Struct, frozen=True, kw_only=True):
    """What to write. `amount` is decimal text, never a float; none or zero makes a static code."""

    form: Form
    account: str
    name: str
    city: str = ""
    detail: str | None = None
    bank: str | None = None
    currency: str = Currency.KHR.numeric
    amount: str | None = None
    expires_ms: int | None = None
    category: str = "5999"
    union_pay: str | None = None
    bill: str | None = None
    mobile: str | None = None
    store: str | None = None
    terminal: str | None = None
    purpose: str | None = None
    language: str | None = None
    other_name: str | None = None
    other_city: str | None = None


def write(draft: Draft, now_ms: int) -> str | SdkError:
    """Write a code created at `now_ms`, or name the SDK's error. What it writes, `read` reads."""
    code = _judged(draft, now_ms)
    if isinstance(code, SdkError):
        return code
    text = encode(code)
    # The SDK lets through texts that no reader can take apart (a template above 99 characters,
    # control characters): reading back is the one check that covers them all.
    return text if read(text, now_ms) == code else SdkError.KHQR_INVALID


_ACCOUNT: Final = re.compile(r"[^@\s]+@[A-Za-z0-9._-]+")
_FOUR_DIGITS: Final = re.compile(r"[0-9]{4}")


def _judged(draft: Draft, now_ms: int) -> Khqr | SdkError:
    """The SDK's checks in the SDK's order, so that the first error is the one it would name."""
    currency = Currency.from_numeric(draft.currency)
    error = _account_error(draft) or _category_error(draft.category)
    if error is not None:
        return error
    if currency is None:
        return SdkError.CURRENCY_UNSUPPORTED
    if draft.union_pay and currency is Currency.USD:
        return SdkError.UNION_PAY_WITH_USD
    amount = _drafted_minor(draft.amount, currency)
    if isinstance(amount, SdkError):
        return amount
    error = _name_error(draft) or _length_error(draft) or _language_error(draft)
    if error is None and amount is not None:
        error = _expiry_error(draft.expires_ms, now_ms)
    return _drafted(draft, currency, amount, now_ms) if error is None else error


def _account_error(draft: Draft) -> SdkError | None:
    merchant = draft.form is Form.MERCHANT
    detail, bank = draft.detail or "", draft.bank or ""
    checks = (
        (len(draft.union_pay or "") > 99, SdkError.UNION_PAY_LENGTH),
        (not draft.account, SdkError.ACCOUNT_REQUIRED),
        (len(draft.account) > 32, SdkError.ACCOUNT_LENGTH),
        (not _ACCOUNT.fullmatch(draft.account), SdkError.ACCOUNT_INVALID),
        (merchant and not detail, SdkError.MERCHANT_ID_REQUIRED),
        (merchant and len(detail) > 32, SdkError.MERCHANT_ID_LENGTH),
        (len(detail) > 32, SdkError.ACCOUNT_DETAIL_LENGTH),
        (merchant and not bank, SdkError.BANK_REQUIRED),
        (len(bank) > 32, SdkError.BANK_LENGTH),
    )
    return next((error for failed, error in checks if failed), None)


def _category_error(category: str) -> SdkError | None:
    if len(category) > 4:
        return SdkError.CATEGORY_LENGTH
    return None if _FOUR_DIGITS.fullmatch(category) else SdkError.CATEGORY_INVALID


def _drafted_minor(text: str | None, currency: Currency) -> int | SdkError | None:
    """Minor units; None when there is no amount or it is zero, which makes the code static."""
    if not text:
        return None
    money = Money.parse(text, currency)
    if money is None or len(amount_text(money.minor, currency)) > 13:
        return SdkError.AMOUNT_INVALID
    return money.minor or None


def _name_error(draft: Draft) -> SdkError | None:
    if not draft.name:
        return SdkError.NAME_REQUIRED
    return SdkError.NAME_LENGTH if len(draft.name) > 25 else None


def _length_error(draft: Draft) -> SdkError | None:
    checks = (
        (draft.city, 15, SdkError.CITY_LENGTH),
        (draft.bill, 25, SdkError.BILL_LENGTH),
        (draft.mobile, 25, SdkError.MOBILE_LENGTH),
        (draft.store, 25, SdkError.STORE_LENGTH),
        (draft.terminal, 25, SdkError.TERMINAL_LENGTH),
        (draft.purpose, 25, SdkError.PURPOSE_LENGTH),
    )
    return next((error for text, longest, error in checks if len(text or "") > longest), None)


def _language_error(draft: Draft) -> SdkError | None:
    language, name = draft.language or "", draft.other_name or ""
    checks = (
        (language and not name, SdkError.OTHER_NAME_REQUIRED),
        (name and not language, SdkError.LANGUAGE_REQUIRED),
        (len(language) > 2, SdkError.LANGUAGE_LENGTH),
        (len(name) > 25, SdkError.OTHER_NAME_LENGTH),
        (len(draft.other_city or "") > 15, SdkError.OTHER_CITY_LENGTH),
    )
    return next((error for failed, error in checks if failed), None)


def _expiry_error(expires_ms: int | None, now_ms: int) -> SdkError | None:
    if not expires_ms:
        return SdkError.EXPIRY_REQUIRED
    if len(str(expires_ms)) != 13:
        return SdkError.EXPIRY_LENGTH
    return SdkError.EXPIRY_BEFORE_CREATION if expires_ms < now_ms else None


def _drafted(draft: Draft, currency: Currency, amount_minor: int | None, now_ms: int) -> Khqr:
    static = amount_minor is None
    return Khqr(
        form=draft.form,
        account=draft.account,
        detail=draft.detail or None,
        bank=draft.bank or None,
        category=draft.category,
        currency=currency,
        amount_minor=amount_minor,
        name=draft.name,
        city=draft.city or "Phnom Penh",
        initiation=Initiation.STATIC if static else Initiation.DYNAMIC,
        union_pay=draft.union_pay or None,
        bill=draft.bill or None,
        mobile=draft.mobile or None,
        store=draft.store or None,
        terminal=draft.terminal or None,
        purpose=draft.purpose or None,
        language=draft.language or None,
        other_name=draft.other_name or None,
        other_city=draft.other_city or None,
        created_ms=None if static else now_ms,
        expires_ms=None if static else draft.expires_ms,
    )
