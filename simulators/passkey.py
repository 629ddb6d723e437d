"""A software authenticator: what a passkey on somebody's phone or key ring answers (WebAuthn 2).

Promise: real CBOR and COSE, real P-256 signatures, a counter that grows; tests bend any part of an
answer through the arguments that say so. Beside it, what a browser adds: the client data with
challenge and origin. Who calls: officer, demo, tests.
"""

import base64
import hashlib
import json
import secrets
import struct
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

USER_PRESENT: Final = 0x01
USER_VERIFIED: Final = 0x04
HAS_CREDENTIAL: Final = 0x40
_ES256: Final = -7

Credential = dict[str, Any]


class Authenticator:
    """One key for one host. `private_key`: the scalar, to be the same one after a restart."""

    def __init__(self, host: str, *, private_key: int | None = None, count: int = 0) -> None:
        self.host = host
        self.origin = f"https://{host}"
        self.count = count
        self._key = (
            ec.generate_private_key(ec.SECP256R1())
            if private_key is None
            else ec.derive_private_key(private_key, ec.SECP256R1())
        )
        point = self._key.public_key().public_numbers()
        self._x, self._y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
        self.id = hashlib.sha256(b"credential" + self._x + self._y).digest()

    @staticmethod
    def new_private_key() -> int:
        return secrets.randbelow(2**255) + 1

    def create(self, options: dict[str, Any], **bent: Any) -> Credential:
        """What `navigator.credentials.create({publicKey: options})` gives."""
        client = self._client_data("webauthn.create", options["challenge"], bent)
        data = self._data(bent, HAS_CREDENTIAL) + self._attested(bent)
        attestation = {"fmt": "none", "attStmt": {}, "authData": data}
        answer = {
            "clientDataJSON": text(client),
            "attestationObject": text(bent.get("attestation", cbor2.dumps(attestation))),
            "transports": ["internal"],
        }
        return self._credential(answer, bent)

    def get(self, options: dict[str, Any], **bent: Any) -> Credential:
        """What `navigator.credentials.get({publicKey: options})` gives; the counter grows."""
        self.count = bent.get("count", self.count + 1)
        client = self._client_data("webauthn.get", options["challenge"], bent)
        data = self._data(bent, 0)
        signed = data + hashlib.sha256(bent.get("signed_client", client)).digest()
        signature = self._key.sign(signed, ec.ECDSA(hashes.SHA256()))
        answer = {
            "clientDataJSON": text(client),
            "authenticatorData": text(data),
            "signature": text(bent.get("signature", signature)),
            "userHandle": None,
        }
        return self._credential(answer, bent)

    def _credential(self, answer: dict[str, Any], bent: dict[str, Any]) -> Credential:
        shown = text(bent.get("id", self.id))
        return {
            "id": shown,
            "rawId": shown,
            "type": "public-key",
            "response": answer,
            "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
        }

    def _client_data(self, kind: str, challenge: str, bent: dict[str, Any]) -> bytes:
        data = {
            "type": bent.get("type", kind),
            "challenge": bent.get("challenge", challenge),
            "origin": bent.get("origin", self.origin),
            "crossOrigin": bent.get("cross_origin", False),
            **bent.get("client", {}),
        }
        return json.dumps(data).encode()

    def _data(self, bent: dict[str, Any], flags: int) -> bytes:
        host = bent.get("host", self.host)
        flags |= bent.get("flags", USER_PRESENT | USER_VERIFIED)
        return hashlib.sha256(host.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _attested(self, bent: dict[str, Any]) -> bytes:
        key = {1: 2, 3: _ES256, -1: 1, -2: self._x, -3: self._y} | bent.get("cose", {})
        identity = bent.get("id", self.id)
        encoded: bytes = cbor2.dumps(key)
        shaped: bytes = bytes(16) + struct.pack(">H", len(identity)) + identity + encoded
        return shaped


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
