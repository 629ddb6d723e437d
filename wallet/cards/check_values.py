"""Card check values as the schemes reckon them: CVV and PVV, on demand and exactly.

Promise: strict digits in, the full number of digits out. The last cipher block is read twice: its
decimal digits first, then its letters less ten, so no card gets a short value (one in 18,000 would
otherwise). Errors name a field and never its content. Keys are double-length DES keys.

    CVV   service code as printed 1xx, 2xx ...     on the magnetic stripe
    CVV2  service code 000                         printed, or shown in the app
    iCVV  service code 999                         on the chip

Pure; owns no table. Who calls: numbers (a bank's fixed check value), the switch door (PVV).
"""

import re
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from wallet.identifiers import Secret

CVV2: Final = "000"
ICVV: Final = "999"
KEY_BYTES: Final = 16
_BLOCK: Final = 8
_NUMBER: Final = re.compile(r"[0-9]{12,19}")
_DIGITS: Final = re.compile(r"[0-9]+")


class CheckValueError(ValueError):
    """An input of the wrong shape: the text names which, never what it holds."""


def cvv(key: Secret[bytes], number: Secret[str], expiry: str, service_code: str) -> Secret[str]:
    """Three digits over number, expiry (four digits, as the issuer orders them) and service code.

    Raises CheckValueError.
    """
    pan = _number(number)
    _digits("expiry", expiry, 4)
    _digits("service code", service_code, 3)
    data = bytes.fromhex(f"{pan}{expiry}{service_code}".ljust(4 * _BLOCK, "0"))
    left, whole = _ciphers(key)
    first = _encrypt(left, data[:_BLOCK])
    mixed = bytes(a ^ b for a, b in zip(first, data[_BLOCK:], strict=True))
    return Secret(_decimal(_encrypt(whole, mixed), 3))


def pvv(key: Secret[bytes], key_index: int, number: Secret[str], pin: Secret[str]) -> Secret[str]:
    """Four digits over eleven digits of the number, the key's index (0-9) and the PIN's first four.

    Raises CheckValueError.
    """
    pan, code = _number(number), pin.reveal()
    if not (_DIGITS.fullmatch(code) and 4 <= len(code) <= 12 and code.isascii()):
        raise CheckValueError("PIN: 4 to 12 digits are needed")
    if not 0 <= key_index <= 9:
        raise CheckValueError("key index: one digit is needed")
    block = bytes.fromhex(f"{pan[-12:-1]}{key_index}{code[:4]}")
    return Secret(_decimal(_encrypt(_ciphers(key)[1], block), 4))


def _decimal(block: bytes, wanted: int) -> str:
    """The first `wanted` digits of a block: what is decimal in order, then what is not, less ten.

    A block has sixteen half-bytes, and every one of them gives a digit in one pass or the other.
    """
    text = block.hex()
    first = [half for half in text if half.isdigit()]
    second = [str(int(half, 16) - 10) for half in text if not half.isdigit()]
    return "".join((first + second)[:wanted])


def _ciphers(key: Secret[bytes]) -> tuple[bytes, bytes]:
    """Single DES under the left half, as three times the same key; and the whole, as K1 K2 K1."""
    whole = key.reveal()
    if len(whole) != KEY_BYTES:
        raise CheckValueError("key: 16 bytes are needed")
    left = whole[:_BLOCK]
    return left * 3, whole + left


def _encrypt(key: bytes, block: bytes) -> bytes:
    # One block under ECB is the bare cipher: the schemes build on that, and nothing is chained.
    return Cipher(TripleDES(key), modes.ECB()).encryptor().update(block)  # noqa: S305 - as CVV is


def _number(number: Secret[str]) -> str:
    pan = number.reveal()
    if not (_NUMBER.fullmatch(pan) and pan.isascii()):
        raise CheckValueError("number: 12 to 19 digits are needed")
    return pan


def _digits(name: str, text: str, length: int) -> None:
    if not (len(text) == length and text.isascii() and _DIGITS.fullmatch(text)):
        raise CheckValueError(f"{name}: {length} digits are needed")
