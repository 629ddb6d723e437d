"""The port to the key that wraps all others, and the software form of it.

Promise: a wrapped key opens only with the store that wrapped it, for the context it was wrapped
for; a key file that others may read is refused. Who calls: the vault; runtime and tests open one.
"""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


class VaultError(Exception):
    """Something sealed could not be opened, or a key could not be had. Carries no contents."""


class KeyStoreError(VaultError):
    """The key store is missing, unsafe, or not the one this data was sealed with."""


class KeyStore(Protocol):
    """The port to the key that wraps all others. Asynchronous: an HSM or KMS may be slow."""

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        """`key` encrypted so that only this store, told the same `context`, can unwrap it."""
        ...

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """What `wrap` was given. Raises KeyStoreError when this is not the right store."""
        ...

    def derived(self, purpose: str) -> bytes:
        """A 32-byte key of its own for each purpose, the same for ever."""
        ...


class SoftwareKeyStore:
    """Keys in this process's memory, from a file that only its owner may read. For demos and
    tests; production wants an HSM or KMS behind the same port, or an explicit flag.

    The file holds wrapping keys by version (the newest wraps, all unwrap) and, apart from them,
    the root of the derived keys: rotating the wrapping key must not change look-ups and peppers.
    """

    def __init__(
        self,
        root: bytes,
        *,
        wrapping: Mapping[int, bytes] | None = None,
        name: str = "software key store",
    ) -> None:
        """`root`: 32 bytes; without `wrapping` keys the first one is derived from it."""
        if len(root) != KEY_BYTES:
            raise KeyStoreError(f"{name}: the root key must be {KEY_BYTES} bytes")
        self._root = root
        self._name = name
        keys = wrapping or {1: self.derived("wrapping/1")}
        self._wrapping = {version: AESGCM(key) for version, key in keys.items()}
        self._newest = max(keys)

    @classmethod
    def from_file(cls, path: Path) -> "SoftwareKeyStore":
        """Read a key file. Raises KeyStoreError: missing, readable by others, malformed."""
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read()
        except OSError as error:
            raise KeyStoreError(f"key file {path}: {error.strerror}") from None
        if mode & 0o077:
            raise KeyStoreError(f"key file {path}: others may read it; chmod 600 it")
        try:
            content = json.loads(text)
            root = _key_bytes(content["root"])
            wrapping = {int(v): _key_bytes(key) for v, key in content["wrapping"].items()}
            return cls(root, wrapping=wrapping, name=f"key file {path}")
        except (KeyError, TypeError, ValueError, AttributeError):
            raise KeyStoreError(f"key file {path}: not a key file of this program") from None

    @classmethod
    def open_or_create(cls, path: Path) -> "SoftwareKeyStore":
        """The key file at `path`, made on first use. Safe when several processes start at once."""
        if not path.exists():
            _create(path)
        return cls.from_file(path)

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        body = self._wrapping[self._newest].encrypt(nonce, key, context)
        return self._newest.to_bytes(2, "big") + nonce + body

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        version = int.from_bytes(wrapped[:2], "big")
        cipher = self._wrapping.get(version)
        if cipher is None:
            raise KeyStoreError(f"{self._name} has no wrapping key {version}")
        nonce, body = wrapped[2 : 2 + NONCE_BYTES], wrapped[2 + NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, body, context)
        except InvalidTag:
            raise KeyStoreError(
                f"{self._name} is not the one this database was sealed with: "
                "restore the original key file beside this data"
            ) from None

    def derived(self, purpose: str) -> bytes:
        info = f"smartid-wallet/{purpose}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._root)


def _create(path: Path) -> None:
    content = {
        "root": base64.b64encode(os.urandom(KEY_BYTES)).decode(),
        "wrapping": {"1": base64.b64encode(os.urandom(KEY_BYTES)).decode()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces the file another process made meanwhile.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _key_bytes(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError("wrong key length")
    return key
