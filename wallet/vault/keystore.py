"""The port to the key that wraps all others, and the software form of it.

Promise: a wrapped key opens only with the store that wrapped it, for the context it was wrapped
for, and says which version of the wrapping key did it (two bytes in front); a key file that others
may read is refused, and one that another process changed is read again.

    version  wraps   unwraps
    newest   yes     yes
    older    no      yes       until everything is re-wrapped (`rotation`)
    gone     no      no        destroyed

Who calls: the vault; runtime and tests open one.
"""

import base64
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

    def versions(self) -> list[int]:
        """The versions of the wrapping key that there are, the newest last."""
        ...

    async def rotate(self) -> int:
        """Make a new version, which wraps from now on; answers its number."""
        ...

    async def destroy(self, version: int) -> None:
        """Destroy an older version for ever. Raises KeyStoreError for the newest, and for one that
        there is not."""
        ...


def version_of(wrapped: bytes) -> int:
    """Which version of the wrapping key a wrapped key needs."""
    return int.from_bytes(wrapped[:2], "big")


def decide_destruction(versions: list[int], version: int, name: str) -> None:
    """Raises KeyStoreError when `version` is not there or is the newest."""
    if version not in versions:
        raise KeyStoreError(f"{name} has no wrapping key {version}")
    if version == versions[-1]:
        raise KeyStoreError(f"{name}: wrapping key {version} is the one in use; rotate it first")


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
        self._take(keys)
        self._path: Path | None = None
        self._stamp: tuple[int, int] | None = None

    def _take(self, keys: Mapping[int, bytes]) -> None:
        self._wrapping = {version: AESGCM(key) for version, key in keys.items()}
        self._newest = max(keys)

    @classmethod
    def from_file(cls, path: Path) -> "SoftwareKeyStore":
        """Read a key file. Raises KeyStoreError: missing, readable by others, malformed."""
        root, wrapping, stamp = _read(path)
        store = cls(root, wrapping=wrapping, name=f"key file {path}")
        store._path, store._stamp = path, stamp
        return store

    @classmethod
    def open_or_create(cls, path: Path) -> "SoftwareKeyStore":
        """The key file at `path`, made on first use. Safe when several processes start at once."""
        if not path.exists():
            _create(path)
        return cls.from_file(path)

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        self._look_again()  # what another process rotated away must not wrap any more
        nonce = os.urandom(NONCE_BYTES)
        body = self._wrapping[self._newest].encrypt(nonce, key, context)
        return self._newest.to_bytes(2, "big") + nonce + body

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        version = version_of(wrapped)
        if version not in self._wrapping:
            self._look_again()
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

    def versions(self) -> list[int]:
        self._look_again()
        return sorted(self._wrapping)

    async def rotate(self) -> int:
        with self._changing() as wrapping:
            version = max(wrapping) + 1
            wrapping[version] = os.urandom(KEY_BYTES)
        return version

    async def destroy(self, version: int) -> None:
        with self._changing() as wrapping:
            decide_destruction(sorted(wrapping), version, self._name)
            del wrapping[version]

    def _look_again(self) -> None:
        if self._path is None or _stamp_of(self._path) == self._stamp:
            return
        root, wrapping, self._stamp = _read(self._path)
        if root != self._root:
            raise KeyStoreError(f"{self._name} was replaced by another: restore the original")
        self._take(wrapping)

    @contextmanager
    def _changing(self) -> Iterator[dict[int, bytes]]:
        """The wrapping keys to change, written back whole: one changer at a time."""
        if self._path is None:
            raise KeyStoreError(f"{self._name} is not kept in a file: it cannot change")
        with self._path.with_name(f".{self._path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _, wrapping, _ = _read(self._path)
            yield wrapping
            draft = _drafted(self._path, self._root, wrapping)
            draft.replace(self._path)
            _settle(self._path.parent)
            self._look_again()

    def derived(self, purpose: str) -> bytes:
        info = f"smartid-wallet/{purpose}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._root)


def _read(path: Path) -> tuple[bytes, dict[int, bytes], tuple[int, int]]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read()
    except OSError as error:
        raise KeyStoreError(f"key file {path}: {error.strerror}") from None
    if status.st_mode & 0o077:
        raise KeyStoreError(f"key file {path}: others may read it; chmod 600 it")
    try:
        content = json.loads(text)
        root = _key_bytes(content["root"])
        wrapping = {int(v): _key_bytes(key) for v, key in content["wrapping"].items()}
        max(wrapping)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise KeyStoreError(f"key file {path}: not a key file of this program") from None
    return root, wrapping, (status.st_ino, status.st_mtime_ns)


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _drafted(path, os.urandom(KEY_BYTES), {1: os.urandom(KEY_BYTES)})
    try:
        # A link, unlike a rename, never replaces the file another process made meanwhile.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _drafted(path: Path, root: bytes, wrapping: Mapping[int, bytes]) -> Path:
    content = {
        "root": base64.b64encode(root).decode(),
        "wrapping": {str(v): base64.b64encode(key).decode() for v, key in wrapping.items()},
    }
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _settle(folder: Path) -> None:
    """Have the folder itself written: a rename that a power cut undoes would lose a key."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _key_bytes(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError("wrong key length")
    return key
