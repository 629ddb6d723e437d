"""Card numbers, expiry dates and the card check value that changes by the hour.

Promise: numbers are Luhn-valid in the issuing bank's test range and drawn at random; the check
value is computed when asked for and stands nowhere. Pure but for the random draw.
Owns no table. Who calls: issue, reveal, authorisations (`check_cvv`).
"""

import hmac
import secrets
from datetime import date, datetime, timedelta
from typing import Final

from wallet.identifiers import BankId, Secret, luhn_digit
from wallet.registry.banks import VIRTUAL, named
from wallet.vault import Vault

NUMBER_INDEX: Final = "virtual_card.number"
"""The purpose of the keyed hash that card numbers are found by."""

_RANDOM_DIGITS: Final = 7


def draw_number(bank: BankId) -> str:
    """A 16-digit number: the bank's IIN, "10", seven random digits, the Luhn digit."""
    head = named(bank).iin + VIRTUAL
    body = f"{head}{secrets.randbelow(10**_RANDOM_DIGITS):0{_RANDOM_DIGITS}d}"
    return body + luhn_digit(body)


def expiry_for(made: date, years: int, smart_id_expires_on: date) -> date | None:
    """The last day of the card's printed month: `years` on, never past the Smart ID's own end.

    None when the Smart ID ends before a whole month is left.
    """
    wanted = _month_end(made.year + years, made.month)
    ends = _month_end(smart_id_expires_on.year, smart_id_expires_on.month)
    if ends > smart_id_expires_on:
        ends = smart_id_expires_on.replace(day=1) - timedelta(days=1)
    expiry = min(wanted, ends)
    return expiry if expiry >= made else None


def printed_expiry(expires_on: date) -> str:
    """As embossed: MM/YY."""
    return f"{expires_on:%m/%y}"


def cvv(
    vault: Vault,
    bank: BankId,
    number: Secret[str],
    expires_on: date,
    moment: datetime,
    step: timedelta,
) -> Secret[str]:
    """The three digits valid in the time step of `moment`: HOTP's truncation (RFC 4226 5.3) of
    HMAC-SHA256 over number, expiry and step, under a key of the bank's that is not in the
    database. One pass over a 31-bit integer: no decimalisation table that could run short."""
    return _cvv(vault, bank, number, expires_on, _step_of(moment, step))


def cvv_changes_at(moment: datetime, step: timedelta) -> datetime:
    """When the value of `moment` stops being the current one."""
    left = step.total_seconds() - moment.timestamp() % step.total_seconds()
    return moment + timedelta(seconds=left)


def check_cvv(
    vault: Vault,
    bank: BankId,
    number: Secret[str],
    expires_on: date,
    moment: datetime,
    step: timedelta,
    either_side: int,
    given: str,
) -> bool:
    """Whether `given` is the value of this time step or of one `either_side` of it.

    Three digits are weak whatever computes them: the caller must count tries.
    """
    present = _step_of(moment, step)
    right = False
    for at in range(present - either_side, present + either_side + 1):
        expected = _cvv(vault, bank, number, expires_on, at).reveal()
        right |= hmac.compare_digest(expected.encode(), given.encode())
    return right


def _step_of(moment: datetime, step: timedelta) -> int:
    return int(moment.timestamp() // step.total_seconds())


def _cvv(vault: Vault, bank: BankId, number: Secret[str], expires_on: date, at: int) -> Secret[str]:
    text = f"{number.reveal()}|{expires_on:%y%m}|{at}"
    digest = hmac.digest(vault.pepper(f"virtual_card.cvv.{bank}"), text.encode(), "sha256")
    offset = digest[-1] & 0x0F
    value = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return Secret(f"{value % 1000:03d}")


def _month_end(year: int, month: int) -> date:
    following = date(year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)
