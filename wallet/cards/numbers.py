"""Card numbers, expiry dates and the card check value that changes every few minutes.

Promise: numbers are Luhn-valid in the issuing bank's test IIN and drawn at random; the check
value is computed when asked for and stands nowhere. Pure but for the random draw.
Owns no table. Who calls: adding, reveal, purchasing (`check_cvv`).
"""

import hmac
import secrets
from datetime import date, datetime, timedelta
from typing import Final

from wallet.cards import check_values
from wallet.cards.check_values import CVV2
from wallet.cards.rules import CardRules, Issuing
from wallet.identifiers import BankId, Secret, luhn_digit
from wallet.registry.banks import PHYSICAL, PROGRAMME, VIRTUAL, named
from wallet.vault import Vault

NUMBER_INDEX: Final = "virtual_card.number"
"""The purpose of the keyed hash that card numbers are found by."""

_LENGTH: Final = 16


def iin_of(rules: CardRules, bank: BankId) -> str:
    """What the bank's virtual card numbers begin with, 6 or 8 digits: as set, or else its own IIN
    and "10"."""
    return rules.iins.get(bank) or named(bank).iin + VIRTUAL


def draw_number(iin: str) -> str:
    """A 16-digit number: the IIN, random digits, the Luhn digit. Never one that a printed Smart ID
    could have."""
    free = _LENGTH - 1 - len(iin)
    while True:
        body = f"{iin}{secrets.randbelow(10**free):0{free}d}"
        if not body.startswith(_PRINTED):
            return body + luhn_digit(body)


_PRINTED: Final = tuple(bank.iin + PHYSICAL for bank in PROGRAMME)


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
    issuing: Issuing, bank: BankId, number: Secret[str], expires_on: date, moment: datetime
) -> Secret[str]:
    """The three digits that are good at `moment`: those of its time step, or, of a bank that prints
    fixed ones, its CVV2."""
    if not issuing.rules.dynamic_cvv:
        return _fixed(issuing.vault, bank, number, expires_on)
    at = _step_of(moment, issuing.rules.cvv_step)
    return _of_step(issuing.vault, bank, number, expires_on, at)


def cvv_changes_at(moment: datetime, step: timedelta) -> datetime:
    """When the value of `moment` stops being the current one."""
    left = step.total_seconds() - moment.timestamp() % step.total_seconds()
    return moment + timedelta(seconds=left)


def check_cvv(
    issuing: Issuing,
    bank: BankId,
    number: Secret[str],
    expires_on: date,
    moment: datetime,
    given: str,
) -> bool:
    """Whether `given` is the value of this time step or of one `cvv_steps_either_side` of it.

    Three digits are weak whatever computes them: the caller must count tries.
    """
    rules, vault = issuing.rules, issuing.vault
    if not rules.dynamic_cvv:
        return _same(_fixed(vault, bank, number, expires_on), given)
    present, side = _step_of(moment, rules.cvv_step), rules.cvv_steps_either_side
    right = False
    for at in range(present - side, present + side + 1):
        right |= _same(_of_step(vault, bank, number, expires_on, at), given)
    return right


def _same(expected: Secret[str], given: str) -> bool:
    return hmac.compare_digest(expected.reveal().encode(), given.encode())


def _step_of(moment: datetime, step: timedelta) -> int:
    return int(moment.timestamp() // step.total_seconds())


def _of_step(
    vault: Vault, bank: BankId, number: Secret[str], expires_on: date, at: int
) -> Secret[str]:
    """HOTP's truncation (RFC 4226 5.3) of HMAC-SHA256 over number, expiry and step, under a key of
    the bank's that is not in the database. One pass over a 31-bit integer: no decimalisation table
    that could run short."""
    text = f"{number.reveal()}|{expires_on:%y%m}|{at}"
    digest = hmac.digest(vault.pepper(f"virtual_card.cvv.{bank}"), text.encode(), "sha256")
    offset = digest[-1] & 0x0F
    value = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return Secret(f"{value % 1000:03d}")


def _fixed(vault: Vault, bank: BankId, number: Secret[str], expires_on: date) -> Secret[str]:
    key = Secret(vault.pepper(f"virtual_card.cvk.{bank}")[: check_values.KEY_BYTES])
    return check_values.cvv(key, number, f"{expires_on:%y%m}", CVV2)


def _month_end(year: int, month: int) -> date:
    following = date(year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)
