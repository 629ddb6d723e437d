"""Base45 (RFC 9285): bytes in the 45 characters a QR code packs two to eleven bits.

Promise: pure; `decode(encode(b)) == b`, and one text only stands for some bytes. Who calls:
receipt.
"""

from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUE: Final = {character: value for value, character in enumerate(_ALPHABET)}


def encode(data: bytes) -> str:
    out = []
    for i in range(0, len(data) - 1, 2):
        rest, low = divmod(data[i] * 256 + data[i + 1], 45)
        high, middle = divmod(rest, 45)
        out.append(_ALPHABET[low] + _ALPHABET[middle] + _ALPHABET[high])
    if len(data) % 2:
        high, low = divmod(data[-1], 45)
        out.append(_ALPHABET[low] + _ALPHABET[high])
    return "".join(out)


def decode(text: str) -> bytes:
    """Raises ValueError for what `encode` never writes."""
    out = bytearray()
    for i in range(0, len(text), 3):
        part = text[i : i + 3]
        if len(part) == 1 or any(character not in _VALUE for character in part):
            raise ValueError("not base45")
        number = sum(_VALUE[character] * 45**place for place, character in enumerate(part))
        width = 2 if len(part) == 3 else 1
        if number >= 256**width:
            raise ValueError("not base45")
        out += number.to_bytes(width, "big")
    return bytes(out)
