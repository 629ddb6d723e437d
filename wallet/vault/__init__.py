"""The vault: what must not be readable in a dump is sealed here, and only here unsealed.

Promise: every field is AES-256-GCM under a data key (DEK); every data key lies wrapped in
PostgreSQL and only the key store (a file for demos, an HSM or KMS by the same port) can unwrap
it. A sealed value names its key and opens only in the table, column and row it was sealed for.
Exceptions name keys and places, never contents. Look-ups go by keyed hashes (`blind_index`).

Tables owned: `vault_wrapping` (see `rotation`), `vault_keys` (one live data key per scope: card
numbers per bank and month, personal data per person; deleting the row shreds what it sealed).

Who calls: cards, registry, access, runtime.
"""

import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Iterable, Sequence
from datetime import date
from typing import Any, Final, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from wallet.identifiers import BankId, HolderId, Secret, new_id
from wallet.outcomes import Reason, Refused
from wallet.vault.keystore import (
    KEY_BYTES,
    NONCE_BYTES,
    KeyStore,
    KeyStoreError,
    SoftwareKeyStore,
    VaultError,
)

__all__ = [
    "KeyGoneError",
    "KeyStore",
    "KeyStoreError",
    "Plain",
    "SealBrokenError",
    "Sealed",
    "Sealer",
    "SoftwareKeyStore",
    "Unsealer",
    "Vault",
    "VaultError",
    "cards_scope",
    "context_of",
    "key_of",
    "person_scope",
]

CACHED_KEYS: Final = 20_000
CACHED_FOR_S: Final = 300.0
"""A shredded key stays usable in other processes for at most this long."""

_FORMAT: Final = b"\x01"
_HEAD: Final = len(_FORMAT) + 16


class SealBrokenError(VaultError):
    """A sealed value was altered, or stands in another place than it was sealed for."""


class KeyGoneError(VaultError, Refused):
    """The data key of a sealed value no longer exists: the value was shredded. Whoever asks for it
    at a door is told that it was erased."""

    def __init__(self, told: str) -> None:
        Refused.__init__(self, Reason.ERASED)
        self.told = told

    def __str__(self) -> str:
        return self.told


class Rows(Protocol):
    """What the vault needs of a Work: it stands below `work` and must not import it."""

    def rows(self, sql: str, /, *args: Any) -> Awaitable[Sequence[Any]]: ...

    def execute(self, sql: str, /, *args: Any) -> Awaitable[Any]: ...


class Plain(Struct, frozen=True, kw_only=True):
    """One field to seal, and where it will stand."""

    scope: str
    table: str
    column: str
    row_id: UUID | str | int
    plaintext: bytes

    def __repr__(self) -> str:
        return f"Plain({self.table}.{self.column}, ***)"


class Sealed(Struct, frozen=True, kw_only=True):
    """One field to unseal, and where it was found."""

    sealed: bytes
    table: str
    column: str
    row_id: UUID | str | int


class Sealer:
    """Seals under one scope's key without waiting: for acts that decide in plain Python."""

    __slots__ = ("_cipher", "_key_id")

    def __init__(self, key_id: UUID, cipher: AESGCM) -> None:
        self._key_id = key_id
        self._cipher = cipher

    def seal(self, table: str, column: str, row_id: UUID | str | int, plaintext: bytes) -> bytes:
        """`plaintext` as a value for exactly this table, column and row."""
        nonce = os.urandom(NONCE_BYTES)
        place = _place(table, column, row_id, self._key_id)
        body = self._cipher.encrypt(nonce, plaintext, place)
        return _FORMAT + self._key_id.bytes + nonce + body


class Unsealer:
    """Unseals, without waiting, values whose keys were fetched beforehand."""

    __slots__ = ("_ciphers",)

    def __init__(self, ciphers: dict[UUID, AESGCM]) -> None:
        self._ciphers = ciphers

    def unseal(
        self, sealed: bytes, table: str, column: str, row_id: UUID | str | int
    ) -> Secret[bytes]:
        """The plaintext, wrapped. Raises SealBrokenError, KeyGoneError."""
        key_id = key_of(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyGoneError(f"{table}.{column}: its data key {key_id} does not exist")
        nonce, body = sealed[_HEAD : _HEAD + NONCE_BYTES], sealed[_HEAD + NONCE_BYTES :]
        try:
            plaintext = cipher.decrypt(nonce, body, _place(table, column, row_id, key_id))
        except InvalidTag:
            raise SealBrokenError(
                f"{table}.{column}: altered, or sealed for another place"
            ) from None
        return Secret(plaintext)


class Vault:
    """One per process. Keeps unwrapped data keys for a few minutes, bounded in number."""

    def __init__(self, keystore: KeyStore) -> None:
        self._keystore = keystore
        self._cache: OrderedDict[UUID, tuple[float, AESGCM]] = OrderedDict()
        self._live: OrderedDict[str, tuple[float, UUID]] = OrderedDict()
        self._derived: dict[str, bytes] = {}

    # sealing

    async def seal(
        self,
        work: Rows,
        scope: str,
        table: str,
        column: str,
        row_id: UUID | str | int,
        plaintext: bytes,
    ) -> bytes:
        """Seal one value for one place, making the scope's data key if there is none yet."""
        return (await self.sealer(work, scope)).seal(table, column, row_id, plaintext)

    async def seal_many(self, work: Rows, fields: Sequence[Plain]) -> list[bytes]:
        """Seal a group of fields of any scopes: at most three statements in all."""
        sealers = await self.sealers(work, {field.scope for field in fields})
        return [
            sealers[field.scope].seal(field.table, field.column, field.row_id, field.plaintext)
            for field in fields
        ]

    async def sealer(self, work: Rows, scope: str) -> Sealer:
        """A sealer for one scope, valid within this Work."""
        return (await self.sealers(work, [scope]))[scope]

    async def sealers(self, work: Rows, scopes: Iterable[str]) -> dict[str, Sealer]:
        """A sealer for each scope, valid within this Work."""
        wanted = sorted(set(scopes))
        found = {scope: sealer for scope in wanted if (sealer := self._cached(scope)) is not None}
        found |= await self._stored(work, [scope for scope in wanted if scope not in found])
        missing = [scope for scope in wanted if scope not in found]
        if missing:
            await self._make(work, missing)
            found |= await self._stored(work, missing)
        return found

    # unsealing

    async def unseal(
        self, work: Rows, sealed: bytes, table: str, column: str, row_id: UUID | str | int
    ) -> Secret[bytes]:
        """The plaintext of one value found in this place. Raises SealBrokenError, KeyGoneError."""
        return (await self.unsealer(work, [sealed])).unseal(sealed, table, column, row_id)

    async def unseal_many(self, work: Rows, fields: Sequence[Sealed]) -> list[Secret[bytes]]:
        """The plaintexts of a group: at most one statement."""
        unsealer = await self.unsealer(work, [field.sealed for field in fields])
        return [
            unsealer.unseal(field.sealed, field.table, field.column, field.row_id)
            for field in fields
        ]

    async def unsealer(self, work: Rows, sealed: Iterable[bytes]) -> Unsealer:
        """An unsealer for these values, valid within this Work."""
        wanted = {key_of(value) for value in sealed}
        ciphers = {key: cipher for key in wanted if (cipher := self._cipher(key)) is not None}
        missing = [key for key in wanted if key not in ciphers]
        if missing:
            for record in await work.rows(_KEYS_BY_ID, missing):
                ciphers[record["key_id"]] = await self._open(record)
        return Unsealer(ciphers)

    # keyed hashes

    def blind_index(self, purpose: str, text: str) -> bytes:
        """HMAC-SHA256 of `text`: equal texts are found by equality, and nothing else is learnt."""
        return hmac.digest(self._key_for(f"index:{purpose}"), text.encode(), "sha256")

    def pepper(self, purpose: str) -> bytes:
        """A 32-byte key outside the database, for the HMACs of PINs, codes and card checks."""
        return self._key_for(f"pepper:{purpose}")

    # keeping

    async def shred(self, work: Rows, scope: str) -> None:
        """Make everything sealed under this scope unreadable for ever (backups keep the key
        until they expire; other processes' caches for CACHED_FOR_S)."""
        self._live.pop(scope, None)
        for record in await work.rows(_SHRED, scope):
            self._cache.pop(record["key_id"], None)

    async def check(self, work: Rows) -> None:
        """Start-up: raises KeyStoreError when the key store is not this database's own."""
        for record in await work.rows(_OLDEST_AND_NEWEST):
            await self._open(record)

    def _key_for(self, purpose: str) -> bytes:
        key = self._derived.get(purpose)
        if key is None:
            key = self._derived[purpose] = self._keystore.derived(purpose)
        return key

    def _cached(self, scope: str) -> Sealer | None:
        entry = self._live.get(scope)
        if entry is None or entry[0] < time.monotonic():
            return None
        cipher = self._cipher(entry[1])
        return None if cipher is None else Sealer(entry[1], cipher)

    def _cipher(self, key_id: UUID) -> AESGCM | None:
        entry = self._cache.get(key_id)
        return None if entry is None or entry[0] < time.monotonic() else entry[1]

    async def _stored(self, work: Rows, scopes: list[str]) -> dict[str, Sealer]:
        if not scopes:
            return {}
        found = {}
        for record in await work.rows(_LIVE_KEYS, scopes):
            found[record["scope"]] = Sealer(record["key_id"], await self._open(record))
        return found

    async def _make(self, work: Rows, scopes: list[str]) -> None:
        ids = [new_id() for _ in scopes]
        wrapped = [
            await self._keystore.wrap(os.urandom(KEY_BYTES), context_of(key_id, scope))
            for key_id, scope in zip(ids, scopes, strict=True)
        ]
        await work.execute(_ADD_KEYS, ids, scopes, wrapped)

    async def _open(self, record: Any) -> AESGCM:
        key_id, scope = record["key_id"], record["scope"]
        cached = self._cipher(key_id)
        if cached is not None:
            return cached
        key = await self._keystore.unwrap(record["wrapped"], context_of(key_id, scope))
        cipher = AESGCM(key)
        # A key made by this very transaction may yet be rolled back; kept in the cache it would
        # seal later values with a key that no table holds, and they would be lost.
        if not record["uncommitted"]:
            until = time.monotonic() + CACHED_FOR_S
            _keep(self._cache, key_id, (until, cipher))
            _keep(self._live, scope, (until, key_id))
        return cipher


def person_scope(holder_id: HolderId | UUID) -> str:
    """Personal data of one person: one key each, so that one person can be shredded."""
    return f"person:{holder_id}"


def cards_scope(bank: BankId, day: date) -> str:
    """Card numbers: one key per bank and month of issue."""
    return f"cards:{bank}:{day:%Y-%m}"


def key_of(sealed: bytes) -> UUID:
    """The id of the data key a sealed value needs."""
    if sealed[:1] != _FORMAT or len(sealed) < _HEAD + NONCE_BYTES + 16:
        raise SealBrokenError("not a sealed value")
    return UUID(bytes=bytes(sealed[1:_HEAD]))


def _place(table: str, column: str, row_id: UUID | str | int, key_id: UUID) -> bytes:
    parts = (table, column, str(row_id), str(key_id))
    if any("|" in part for part in parts):
        raise ValueError("a place's name may not hold the separator")
    return "|".join(parts).encode()


def context_of(key_id: UUID, scope: str) -> bytes:
    """What a data key is wrapped for: it opens under no other id and in no other scope."""
    return f"{key_id}|{scope}".encode()


def _keep(cache: "OrderedDict[Any, Any]", key: Any, value: Any) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > CACHED_KEYS:
        cache.popitem(last=False)


_LIVE_KEYS: Final = """
    select key_id, scope, wrapped,
           created_in = coalesce(pg_current_xact_id_if_assigned(), '0'::xid8) as uncommitted
      from vault_keys
     where scope = any($1::text[])
"""

_KEYS_BY_ID: Final = """
    select key_id, scope, wrapped,
           created_in = coalesce(pg_current_xact_id_if_assigned(), '0'::xid8) as uncommitted
      from vault_keys
     where key_id = any($1::uuid[])
"""

# Sorted by scope, so that two Works making the same keys wait for each other in one order.
_ADD_KEYS: Final = """
    insert into vault_keys (key_id, scope, wrapped)
    select key_id, scope, wrapped
      from unnest($1::uuid[], $2::text[], $3::bytea[]) as fresh (key_id, scope, wrapped)
     order by scope
    on conflict (scope) do nothing
"""

_SHRED: Final = "delete from vault_keys where scope = $1 returning key_id"

_OLDEST_AND_NEWEST: Final = """
    (select key_id, scope, wrapped, true as uncommitted
       from vault_keys order by created_at limit 1)
    union all
    (select key_id, scope, wrapped, true as uncommitted
       from vault_keys order by created_at desc limit 1)
"""
