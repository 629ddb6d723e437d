"""What only one phone can read: a JWE to the public key that phone signs with.

Promise: ECDH-ES with a fresh key each time and A256GCM; whoever carries it (a gateway, a log, a
phone that was sold on) reads nothing. Owns no table. Who calls: sending (codes by push), cards
(what is shown of a card).
"""

import base64
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from joserfc import jwe
from joserfc.jwk import ECKey

_HEADER: Final = {"alg": "ECDH-ES", "enc": "A256GCM", "typ": "JWE", "cty": "json"}
_ALGORITHMS: Final = ["ECDH-ES", "A256GCM"]


def sealed_for(public_key: bytes, content: dict[str, Any]) -> str:
    """`content` as JSON in a compact JWE; `public_key` is an uncompressed P-256 point."""
    public = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), public_key)
    return jwe.encrypt_compact(
        dict(_HEADER), msgspec.json.encode(content), _jwk(public), algorithms=_ALGORITHMS
    )


def _jwk(public: EllipticCurvePublicKey) -> ECKey:
    point = public.public_numbers()
    return ECKey.import_key(
        {"kty": "EC", "crv": "P-256", "x": _base64url(point.x), "y": _base64url(point.y)}
    )


def _base64url(coordinate: int) -> str:
    return base64.urlsafe_b64encode(coordinate.to_bytes(32, "big")).rstrip(b"=").decode()
