"""The key store in an HSM: wrapping keys that never leave it, reached through PKCS#11.

Promise: AES-256 wrapping keys are made inside the token, not extractable, one a version
(`smartid-kek-1`, ...); wrapping is AES-GCM with the context as associated data; derived keys are
HMAC-SHA256 under a token key of their own (`smartid-root`). The package `python-pkcs11` is needed
only here: `pip install smartid-wallet[hsm]`. Calls of one process go to the token one at a time,
off the event loop. Who calls: runtime, by its settings.
"""

import asyncio
import importlib
import os
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from wallet.identifiers import Secret
from wallet.vault.keystore import (
    KEY_BYTES,
    NONCE_BYTES,
    KeyStoreError,
    decide_destruction,
    version_of,
)

T = TypeVar("T")

_KEK: Final = "smartid-kek-"
_ROOT: Final = "smartid-root"
_TAG_BITS: Final = 128


class Pkcs11KeyStore:
    """Keys in one token. Opened once a process; answers KeyStoreError for whatever fails there."""

    def __init__(self, module: str, token: str, pin: Secret[str]) -> None:
        """`module`: the vendor's library; `token`: its label. Makes the first keys in an empty
        token. Raises KeyStoreError."""
        self._name = f"PKCS#11 token {token}"
        self._lock = threading.Lock()
        try:
            self._p11: Any = importlib.import_module("pkcs11")
        except ImportError:
            raise KeyStoreError(
                "the HSM's package is not installed: pip install 'smartid-wallet[hsm]'"
            ) from None
        try:
            held = self._p11.lib(module).get_token(token_label=token)
            self._session = held.open(rw=True, user_pin=pin.reveal())
            self._keys = self._found()
            if not self._keys:
                self._make(1)
            self._root = self._root_key()
        except KeyStoreError:
            raise
        except Exception as error:
            raise self._failure(error) from None

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        def call() -> bytes:
            self._keys = self._found()  # what another process rotated away must not wrap any more
            version = max(self._keys)
            nonce = os.urandom(NONCE_BYTES)
            body: bytes = self._keys[version].encrypt(key, **self._gcm(nonce, context))
            return version.to_bytes(2, "big") + nonce + body

        return await self._on_token(call)

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        def call() -> bytes:
            version = version_of(wrapped)
            if version not in self._keys:
                self._keys = self._found()
            if version not in self._keys:
                raise KeyStoreError(f"{self._name} has no wrapping key {version}")
            nonce, body = wrapped[2 : 2 + NONCE_BYTES], wrapped[2 + NONCE_BYTES :]
            key: bytes = self._keys[version].decrypt(body, **self._gcm(nonce, context))
            if len(key) != KEY_BYTES:
                raise KeyStoreError(f"{self._name}: not a key of this database")
            return key

        return await self._on_token(call)

    def derived(self, purpose: str) -> bytes:
        message = f"smartid-wallet/{purpose}".encode()
        with self._lock:
            try:
                return bytes(self._root.sign(message, mechanism=self._p11.Mechanism.SHA256_HMAC))
            except Exception as error:
                raise self._failure(error) from None

    def versions(self) -> list[int]:
        with self._lock:
            self._keys = self._found()
            return sorted(self._keys)

    async def rotate(self) -> int:
        def call() -> int:
            version = max(self._found()) + 1
            self._make(version)
            return version

        return await self._on_token(call)

    async def destroy(self, version: int) -> None:
        def call() -> None:
            self._keys = self._found()
            decide_destruction(sorted(self._keys), version, self._name)
            self._keys.pop(version).destroy()

        await self._on_token(call)

    async def _on_token(self, call: Callable[[], T]) -> T:
        def alone() -> T:
            with self._lock:
                try:
                    return call()
                except KeyStoreError:
                    raise
                except Exception as error:
                    raise self._failure(error) from None

        return await asyncio.to_thread(alone)

    def _gcm(self, nonce: bytes, context: bytes) -> dict[str, Any]:
        parameters = self._p11.GCMParams(nonce, context, _TAG_BITS)
        return {"mechanism": self._p11.Mechanism.AES_GCM, "mechanism_param": parameters}

    def _found(self) -> dict[int, Any]:
        attribute = self._p11.Attribute
        objects = self._session.get_objects(
            {
                attribute.CLASS: self._p11.ObjectClass.SECRET_KEY,
                attribute.KEY_TYPE: self._p11.KeyType.AES,
            }
        )
        return {
            int(key.label.removeprefix(_KEK)): key
            for key in objects
            if key.label.startswith(_KEK) and key.label.removeprefix(_KEK).isdigit()
        }

    def _make(self, version: int) -> None:
        self._session.generate_key(
            self._p11.KeyType.AES,
            KEY_BYTES * 8,
            label=f"{_KEK}{version}",
            store=True,
            capabilities=self._p11.MechanismFlag.ENCRYPT | self._p11.MechanismFlag.DECRYPT,
            template=self._locked_in(),
        )
        self._keys = self._found()

    def _root_key(self) -> Any:
        attribute = self._p11.Attribute
        wanted = {attribute.CLASS: self._p11.ObjectClass.SECRET_KEY, attribute.LABEL: _ROOT}
        for key in self._session.get_objects(wanted):
            return key
        return self._session.generate_key(
            self._p11.KeyType.GENERIC_SECRET,
            KEY_BYTES * 8,
            label=_ROOT,
            store=True,
            capabilities=self._p11.MechanismFlag.SIGN,
            template=self._locked_in(),
        )

    def _locked_in(self) -> dict[Any, bool]:
        attribute = self._p11.Attribute
        return {attribute.SENSITIVE: True, attribute.EXTRACTABLE: False, attribute.PRIVATE: True}

    def _failure(self, error: Exception) -> KeyStoreError:
        # The library's own words may repeat what it was given: its kind is told alone.
        return KeyStoreError(
            f"{self._name}: {type(error).__name__}; is it the token that this database was sealed"
            " with, and may this process log in to it?"
        )
