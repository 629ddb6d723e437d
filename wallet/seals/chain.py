"""Headers: what is signed of a batch, and how each is chained to the one before.

Promise: pure. A header's bytes are of fixed places, so there is one reading of them; its hash
covers the hash of the header before, so who holds one signed header holds everything before it.
Keys are named by their own hash. Who calls: sealing, proving, anchor, receipt; runtime (signing).
"""

import base64
import binascii
import struct
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from wallet.seals.leaves import EPOCH, VERSION, Log
from wallet.seals.merkle import HASH_BYTES

FIRST: Final = bytes(HASH_BYTES)
"""What stands in the first header for the hash of the one before."""

SIGNATURE_BYTES: Final = 64
KEY_ID_BYTES: Final = 8
_DOMAIN: Final = b"smartid.seal"
_LAYOUT: Final = struct.Struct(">BQ32sBQIQq32sq")
HEADER_BYTES: Final = _LAYOUT.size
_KEY_LINE: Final = "smartid-seal-key"

Keys = Mapping[str, bytes]
"""Key id -> public key: whose signatures are believed."""


class Header(Struct, frozen=True, kw_only=True):
    """One sealed batch. `position`: entries of its log sealed before it; `entries`: how many it
    holds, in the log's order (xid, seq), up to (last_xid, last_seq)."""

    number: int
    previous: bytes
    log: Log
    position: int
    entries: int
    last_xid: int
    last_seq: int
    root: bytes
    sealed_at: datetime
    version: int = VERSION

    def packed(self) -> bytes:
        return _LAYOUT.pack(
            self.version,
            self.number,
            self.previous,
            self.log,
            self.position,
            self.entries,
            self.last_xid,
            self.last_seq,
            self.root,
            (self.sealed_at - EPOCH) // timedelta(microseconds=1),
        )

    def message(self) -> bytes:
        """What is signed, and hashed into the next header."""
        return _DOMAIN + self.packed()

    def hash(self) -> bytes:
        return sha256(self.message()).digest()

    @classmethod
    def unpack(cls, packed: bytes) -> "Header":
        """Raises ValueError when these are not the bytes of a header of a known version."""
        try:
            version, number, previous, log, position, entries, xid, seq, root, at = _LAYOUT.unpack(
                packed
            )
            if version != VERSION:
                raise ValueError(f"version {version} of sealing is not known here")
            return cls(
                number=number,
                previous=previous,
                log=Log(log),
                position=position,
                entries=entries,
                last_xid=xid,
                last_seq=seq,
                root=root,
                sealed_at=EPOCH + timedelta(microseconds=at),
            )
        except (struct.error, OverflowError) as error:
            raise ValueError("no header") from error


class SignedHeader(Struct, frozen=True, kw_only=True):
    header: Header
    key_id: str
    signature: bytes


class Signer(Protocol):
    """The port to the private key. Asynchronous: it may stand in an HSM."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the Ed25519 public key."""
        ...

    async def sign(self, message: bytes) -> bytes: ...


def key_id(public_key: bytes) -> str:
    """A key's name: the first bytes of its hash, so that a list cannot give it another's."""
    return sha256(public_key).digest()[:KEY_ID_BYTES].hex()


def signature_fault(signed: SignedHeader, keys: Keys) -> str | None:
    """Why the signature is not to be believed; None when it is."""
    public_key = keys.get(signed.key_id)
    if public_key is None:
        return f"signed with key {signed.key_id}, which is not among the public keys given"
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            signed.signature, signed.header.message()
        )
    except (InvalidSignature, ValueError):
        return f"the signature of seal {signed.header.number} is not that of key {signed.key_id}"
    return None


def keys_of(public_keys: Iterable[bytes]) -> dict[str, bytes]:
    return {key_id(public_key): public_key for public_key in public_keys}


def key_lines(keys: Keys) -> str:
    """The published list: a line a key, in the order given."""
    return "".join(
        f"{_KEY_LINE} {name} {base64.b64encode(public_key).decode()}\n"
        for name, public_key in keys.items()
    )


def read_keys(text: str) -> dict[str, bytes]:
    """A published list read back. Raises ValueError naming the line that is none of ours."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        try:
            if len(words) != 3 or words[0] != _KEY_LINE:
                raise ValueError
            public_key = base64.b64decode(words[2], validate=True)
            if len(public_key) != 32 or key_id(public_key) != words[1]:
                raise ValueError
        except (ValueError, binascii.Error):
            raise ValueError(f"line {number} is not a public key of a seal") from None
        found[words[1]] = public_key
    if not found:
        raise ValueError("there is no public key in it")
    return found
