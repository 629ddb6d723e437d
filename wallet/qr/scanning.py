"""What a scanned text is worth: read strictly, refused in our own words, made safe to show."""

from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from wallet import khqr
from wallet.khqr import Fault, Khqr
from wallet.money import Currency, Money
from wallet.outcomes import Reason, Refused


class PayFields(Struct, frozen=True, kw_only=True):
    """`code`: the text as scanned, untrimmed. `amount`: decimal text in the code's currency;
    needed when the code names none, and equal to the code's when both do."""

    code: str
    amount: str | None = None


class Decoded(Struct, frozen=True, kw_only=True):
    """A code as the phone may show it, before anything is prepared. Names are the code's own."""

    dynamic: bool
    payee_name: str
    payee_city: str
    payee_account: str
    name_source: str
    currency: Currency
    amount: Money | None
    expires_at: datetime | None
    bill: str | None
    store: str | None
    purpose: str | None


class Scan(Struct, frozen=True, kw_only=True):
    """A sound code and the money it is to be paid with."""

    code: Khqr
    md5: str
    money: Money

    @property
    def dynamic(self) -> bool:
        return self.code.amount_minor is not None


def decode(text: str, now: datetime) -> Decoded:
    """Read a scanned text for the screen.

    Refuses: QR_INVALID (fact `fault`), QR_FOREIGN, QR_EXPIRED, AMOUNT_INVALID (fractional riel).
    """
    code = sound(text, now)
    expires = code.expires_ms if code.amount_minor is not None else None
    return Decoded(
        dynamic=code.amount_minor is not None,
        payee_name=khqr.shown(code.name),
        payee_city=khqr.shown(code.city),
        payee_account=account_shown(code),
        name_source="code",
        currency=code.currency,
        amount=code.amount,
        expires_at=None if expires is None else moment(expires),
        bill=_shown(code.bill),
        store=_shown(code.store),
        purpose=_shown(code.purpose),
    )


def scan(fields: PayFields, now: datetime) -> Scan:
    """A code and the amount asked for, agreed with each other.

    Refuses: as `decode`; QR_AMOUNT_MISSING, QR_AMOUNT_DIFFERS, AMOUNT_INVALID.
    """
    code = sound(fields.code, now)
    return Scan(code=code, md5=khqr.md5(fields.code), money=_agreed(code, fields.amount))


def sound(text: str, now: datetime) -> Khqr:
    read = khqr.read(text, milliseconds(now))
    if isinstance(read, Fault):
        raise Refused(_REASONS.get(read, Reason.QR_INVALID), fault=read.value)
    return read


def account_shown(code: Khqr) -> str:
    """Whom the money goes to, as the rail knows them: the account, and the part behind it."""
    return khqr.shown(f"{code.account}/{code.detail}" if code.detail else code.account)


def milliseconds(now: datetime) -> int:
    """Unix milliseconds, rounded down, without passing through a float."""
    since = now - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def moment(unix_ms: int) -> datetime:
    """The moment of 13 digits of milliseconds (at most the year 2286)."""
    return _EPOCH + timedelta(milliseconds=unix_ms)


def _shown(text: str | None) -> str | None:
    return None if text is None else khqr.shown(text)


def _agreed(code: Khqr, asked: str | None) -> Money:
    in_code = code.amount
    if asked is None:
        if in_code is None:
            raise Refused(Reason.QR_AMOUNT_MISSING, currency=code.currency.value)
        return in_code
    money = Money.parse(asked, code.currency)
    if money is None or money.minor == 0:
        raise Refused(Reason.AMOUNT_INVALID, currency=code.currency.value)
    if in_code is not None and money != in_code:
        raise Refused(
            Reason.QR_AMOUNT_DIFFERS,
            currency=code.currency.value,
            amount_minor=in_code.minor,
            asked_minor=money.minor,
        )
    return money


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REASONS: Final = {
    Fault.FOREIGN: Reason.QR_FOREIGN,
    Fault.EXPIRED: Reason.QR_EXPIRED,
    Fault.FRACTIONAL_RIEL: Reason.AMOUNT_INVALID,
}
