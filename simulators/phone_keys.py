"""What never leaves a phone: its P-256 key, and the bytes it is willing to sign with it.

Promise: a phone lays the canonical bytes out itself from what it shows its holder, and signs
nothing else; signatures are raw r || s. Written apart from the server's own code on purpose: the
two must agree by the contract, not by sharing a bug. Who calls: the phone simulator.
"""

import base64
import hashlib
import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwe
from joserfc.jwk import ECKey


class ShownOtherwiseError(Exception):
    """The bytes to sign do not say what the screen says: a phone signs nothing then."""


class DeviceKey:
    """A phone's key pair."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private

    @classmethod
    def fresh(cls) -> "DeviceKey":
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: str) -> "DeviceKey":
        private = serialization.load_pem_private_key(pem.encode(), None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise TypeError("not a P-256 key")
        return cls(private)

    def pem(self) -> str:
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    @property
    def public(self) -> str:
        """The uncompressed point, base64url."""
        point = self._private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return base64url(point)

    def sign(self, message: bytes) -> str:
        """ES256 over `message` as base64url of r || s."""
        r, s = decode_dss_signature(self._private.sign(message, ec.ECDSA(SHA256())))
        return base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def decrypt(self, token: str) -> dict[str, Any]:
        """The content of a JWE made for this phone (ECDH-ES, A256GCM)."""
        key = ECKey.import_key(self.pem())
        opened = jwe.decrypt_compact(token, key, algorithms=["ECDH-ES", "A256GCM"])
        content: dict[str, Any] = json.loads(opened.plaintext or b"{}")
        return content


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def laid_out(*parts: str | bytes) -> bytes:
    """Each part after its length in four bytes, big-endian."""
    raw = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(len(one).to_bytes(4, "big") + one for one in raw)


def canonical_of(shown: dict[str, Any], holder_id: str, device_id: str) -> bytes:
    """The bytes this phone signs for an intent: from what it shows, its own ids, the nonce.

    Raises ShownOtherwiseError when the server's bytes are not these.
    """
    money = shown["money"] or {"amount_minor": "", "currency": ""}
    text = f"{shown['text']['en']}\n{shown['text']['km']}".encode()
    expires = datetime.fromisoformat(shown["expires_at"].replace("Z", "+00:00"))
    own = laid_out(
        "cswallet.tx.v1",
        shown["id"],
        shown["kind"],
        holder_id,
        device_id,
        str(money["amount_minor"]),
        money["currency"],
        shown["payee"],
        hashlib.sha256(text).digest(),
        unbase64url(shown["nonce"]),
        str(int(expires.timestamp())),
    )
    if unbase64url(shown["canonical"]) != own:
        raise ShownOtherwiseError(shown["id"])
    return own


class Authenticator:
    """The code app on the phone, from the `otpauth://` text it scanned."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        asked = parse_qs(urlsplit(uri).query)
        self._totp = pyotp.TOTP(
            asked["secret"][0],
            digits=int(asked.get("digits", ["6"])[0]),
            interval=int(asked.get("period", ["30"])[0]),
        )

    def code(self, now: datetime) -> str:
        return self._totp.at(now)

    def step(self, now: datetime) -> int:
        return int(now.timestamp()) // self._totp.interval

    def seconds_until(self, step: int, now: datetime) -> float:
        return max(0.0, step * self._totp.interval - now.timestamp())
