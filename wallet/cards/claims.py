"""What an ATM's slip and screen carry of a card that waits to be claimed.

Promise: the reference is a pointer, not a bearer token: only the Smart ID's owner can claim with
it. It is computed from the card's id under a key outside the database, so a repeated answer shows
the same slip though the reference is stored nowhere, only its keyed hash.
Owns no table. Who calls: atm, create (claiming), doors.
"""

import base64
import hmac
import io
import re
from datetime import datetime
from typing import Final

import qrcode
import qrcode.image.svg
from msgspec import Struct
from qrcode.image.pure import PyPNGImage

from wallet.identifiers import CardId
from wallet.vault import Vault

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that a tired eye takes for another."""

_TO_CROCKFORD: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET)
_MISREAD: Final = str.maketrans("OIL", "011")
_SHORT: Final = 8
_LONG: Final = 26
_REFERENCE: Final = re.compile(f"[{_ALPHABET}]{{{_SHORT}}}|[{_ALPHABET}]{{{_LONG}}}")


class Slip(Struct, frozen=True, kw_only=True):
    """For the ATM: nothing here can pay. `match` is for the screen only, not for paper."""

    reference: str
    """Short form to type: XXXX-XXXX."""
    qr_text: str
    match: str
    """Two digits to type into the app: whoever relays the QR to a victim far away lacks them."""


def slip_for(vault: Vault, card_id: CardId, link: str) -> Slip:
    """The slip of this card: always the same."""
    token = _token(vault, card_id)
    short = token[:_SHORT]
    return Slip(
        reference=f"{short[:4]}-{short[4:]}", qr_text=link + token, match=_match(vault, card_id)
    )


def claim_index(vault: Vault, card_id: CardId) -> bytes:
    """What the table keeps to find the card by its reference."""
    return _index(vault, _token(vault, card_id)[:_SHORT])


def index_of(vault: Vault, reference: str) -> bytes | None:
    """The index of a reference as typed or scanned; None when it cannot be one."""
    text = _normal(reference)
    return _index(vault, text[:_SHORT]) if text else None


def belongs(vault: Vault, card_id: CardId, reference: str) -> bool:
    """Whether a reference, short or whole, is this card's."""
    text = _normal(reference) or ""
    token = _token(vault, card_id)
    expected = token if len(text) == _LONG else token[:_SHORT]
    return hmac.compare_digest(expected.encode(), text.encode())


def matches(vault: Vault, card_id: CardId, digits: str) -> bool:
    """Whether these are the two digits on the ATM's screen."""
    return hmac.compare_digest(_match(vault, card_id).encode(), digits.encode())


def qr_png(text: str) -> bytes:
    """The QR code as a PNG image, for a receipt printer."""
    target = io.BytesIO()
    qrcode.make(text, border=2, box_size=6, image_factory=PyPNGImage).save(target)
    return target.getvalue()


def qr_svg(text: str) -> str:
    """The QR code as one SVG path, for a screen."""
    image = qrcode.make(text, border=2, image_factory=qrcode.image.svg.SvgPathImage)
    return str(image.to_string(encoding="unicode"))


def time_left_s(claim_expires_at: datetime, moment: datetime) -> int:
    return max(0, int((claim_expires_at - moment).total_seconds()))


def _token(vault: Vault, card_id: CardId) -> str:
    digest = hmac.digest(vault.pepper("virtual_card.claim"), card_id.bytes, "sha256")
    text = base64.b32encode(digest[:20]).decode().translate(_TO_CROCKFORD)
    return text[:_LONG]


def _match(vault: Vault, card_id: CardId) -> str:
    digest = hmac.digest(vault.pepper("virtual_card.match"), card_id.bytes, "sha256")
    return f"{int.from_bytes(digest[:8], 'big') % 100:02d}"


def _index(vault: Vault, short: str) -> bytes:
    return vault.blind_index("virtual_card.claim", short)


def _normal(reference: str) -> str | None:
    text = reference.strip().rsplit("/", 1)[-1].upper()
    text = text.replace("-", "").replace(" ", "").translate(_MISREAD)
    return text if _REFERENCE.fullmatch(text) else None
