"""The bytes a phone signs, and whether it signed them.

Promise: what is signed has one encoding (every part preceded by its length, so no two different
acts share bytes); a signature is exactly 64 bytes r || s by the device's own P-256 key, DER and
anything else is wrong. Pure but for a cache of loaded keys. Who calls: intents, pairings, sessions.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from wallet.money import Money
from wallet.outcomes import Reason, Refused

TRANSACTION: Final = "cswallet.tx.v1"
PAIRING: Final = "cswallet.pair.v1"
LOGIN: Final = "cswallet.login.v1"
SIGNATURE_BYTES: Final = 64
POINT_BYTES: Final = 65
KEYS_KEPT: Final = 20_000

_LENGTH: Final = struct.Struct(">I").pack
_ES256: Final = ECDSA(Prehashed(SHA256()))


def canonical(parts: Sequence[str | bytes]) -> bytes:
    """Each part as a 4-byte big-endian length and its bytes (text in UTF-8)."""
    raw = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join([piece for part in raw for piece in (_LENGTH(len(part)), part)])


def transaction(
    *,
    intent_id: UUID,
    kind: str,
    holder_id: UUID,
    device_id: UUID,
    money: Money | None,
    payee: str,
    text_en: str,
    text_km: str,
    nonce: bytes,
    expires_at: datetime,
) -> bytes:
    """The canonical bytes of an intent. Ids in lower-case text form, integers in decimal; an intent
    without money has an empty amount and currency."""
    return canonical(
        (
            TRANSACTION,
            str(intent_id),
            kind,
            str(holder_id),
            str(device_id),
            "" if money is None else str(money.minor),
            "" if money is None else money.currency.value,
            payee,
            hashlib.sha256(f"{text_en}\n{text_km}".encode()).digest(),
            nonce,
            str(int(expires_at.timestamp())),
        )
    )


def signed_by(public_key: bytes, signature: bytes, digest: bytes) -> bool:
    """Whether `signature` (raw r || s) by this key stands over bytes with this SHA-256 digest."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        _loaded(public_key).verify(encode_dss_signature(r, s), digest, _ES256)
    except (InvalidSignature, ValueError):
        return False
    return True


def point(text: str) -> bytes:
    """A phone's public key from the wire: an uncompressed P-256 point, base64url, on the curve.

    Refuses: INVALID_REQUEST (field public_key).
    """
    raw = unbase64url(text, field="public_key")
    if len(raw) != POINT_BYTES or raw[0] != 4:
        raise Refused(Reason.INVALID_REQUEST, field="public_key")
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), raw)
    except ValueError:
        raise Refused(Reason.INVALID_REQUEST, field="public_key") from None
    return raw


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def unbase64url(text: str, *, field: str) -> bytes:
    """Bytes from base64url without padding, in its one canonical spelling.

    Refuses: INVALID_REQUEST naming `field`.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Refused(Reason.INVALID_REQUEST, field=field) from None
    if base64url(raw) != text:
        raise Refused(Reason.INVALID_REQUEST, field=field)
    return raw


@lru_cache(KEYS_KEPT)
def _loaded(public_key: bytes) -> EllipticCurvePublicKey:
    return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), public_key)
