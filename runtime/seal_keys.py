"""The keys that sign seals, out of the key store, and the public list of them.

Promise: each number has a key of its own, the same for ever; the private half is derived in this
process and written nowhere. Raising SMARTID_SEAL_KEY signs with the next one, and what older ones
signed is believed as before. Called by runtime.worker, runtime.cli, runtime.demo.
"""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.key_store import open_key_store
from runtime.settings import Settings
from wallet.seals import chain, sealing
from wallet.vault.keystore import KeyStore
from wallet.work import SYSTEM, Works

PUBLIC_LIST: Final = "seal-keys.txt"
"""In the data folder: every public key, for `smartid receipt verify` on this machine."""


class StoredSigner:
    """Signs with the key of one number."""

    def __init__(self, store: KeyStore, number: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(store.derived(f"seals/{number}"))

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    async def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def signer_of(settings: Settings) -> StoredSigner:
    """The signer in use. Refuses: KeyStoreError."""
    return StoredSigner(open_key_store(settings), settings.seal_key)


def trusted_keys(settings: Settings) -> dict[str, bytes]:
    """The public keys of every number up to the one in use. Refuses: KeyStoreError."""
    store = open_key_store(settings)
    numbers = range(1, settings.seal_key + 1)
    return chain.keys_of(StoredSigner(store, number).public_key for number in numbers)


async def publish(works: Works, settings: Settings) -> str:
    """Put the key in use on the public list, and write the list; answers it."""
    await sealing.publish_key(works, signer_of(settings))
    published = await works.read(SYSTEM, None, sealing.published_keys)
    lines = chain.key_lines(published)
    draft = settings.data / f".{PUBLIC_LIST}.{id(lines)}"
    draft.write_text(lines)
    draft.replace(settings.data / PUBLIC_LIST)
    return lines
