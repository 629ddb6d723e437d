"""Wrapping keys changed while everything goes on: nothing sealed is unreadable at any moment."""

import asyncio
import os
import time
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runtime.vault_commands import destroy_version, rewrap_all, standing, told
from wallet.database import Database
from wallet.identifiers import BankId, new_id
from wallet.outcomes import Refused
from wallet.vault import KeyStoreError, Sealer, SoftwareKeyStore, Vault, context_of, rotation
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")
TEXT = b"+85512345678"


async def keys_made(works: Works, store: SoftwareKeyStore, count: int) -> list[tuple[UUID, bytes]]:
    """`count` people, each with a data key of their own and one sealed field."""
    people = [new_id() for _ in range(count)]

    async def act(work: Work) -> list[tuple[UUID, bytes]]:
        fresh = [(new_id(), f"person:{person}", os.urandom(32)) for person in people]
        wrapped = [await store.wrap(key, context_of(i, scope)) for i, scope, key in fresh]
        await work.execute(
            "insert into vault_keys (key_id, scope, wrapped)"
            " select * from unnest($1::uuid[], $2::text[], $3::bytea[])",
            [i for i, _, _ in fresh],
            [scope for _, scope, _ in fresh],
            wrapped,
        )
        return [
            (person, Sealer(i, AESGCM(key)).seal("holders", "phone_sealed", person, TEXT))
            for person, (i, _, key) in zip(people, fresh, strict=True)
        ]

    return await works.perform(SYSTEM, None, act)


async def read(works: Works, vault: Vault, person: UUID, sealed: bytes) -> bytes:
    async def query(work: Work) -> bytes:
        return (await vault.unseal(work, sealed, "holders", "phone_sealed", person)).reveal()

    return await works.read(SYSTEM, ACLEDA, query)


async def rotated_under_load(works: Works, path: Path, count: int) -> tuple[int, int, float]:
    """Rotates, re-wraps and destroys while readers (each time a vault without a cache) and writers
    go on; answers how many were re-wrapped, how many read meanwhile, and the seconds."""
    store = SoftwareKeyStore.from_file(path)
    sealed: list[tuple[UUID, bytes]] = []
    for _ in range(0, count, 20_000):
        sealed += await keys_made(works, store, min(20_000, count - len(sealed)))
    over, reads = asyncio.Event(), 0

    async def reader(place: int) -> None:
        nonlocal reads
        while not over.is_set():
            place = (place + 7_919) % len(sealed)
            person, value = sealed[place]
            # Its own store: what another process on this machine would have open.
            assert await read(works, Vault(other), person, value) == TEXT
            reads += 1

    async def writer() -> None:
        while not over.is_set():
            sealed_now = await works.perform(
                SYSTEM,
                ACLEDA,
                lambda work: Vault(other).seal(
                    work, f"person:{new_id()}", "holders", "phone_sealed", new_id(), TEXT
                ),
            )
            assert sealed_now
            await asyncio.sleep(0.01)

    other = SoftwareKeyStore.from_file(path)
    load = [asyncio.create_task(reader(i)) for i in range(3)] + [asyncio.create_task(writer())]
    began = time.monotonic()
    assert await store.rotate() == 2
    done = await rewrap_all(works, store)
    seconds = time.monotonic() - began
    await rewrap_all(works, store)  # what writers had under way
    await destroy_version(works, store, 1)
    await asyncio.sleep(0.2)
    over.set()
    await asyncio.gather(*load)
    fresh = Vault(SoftwareKeyStore.from_file(path))
    assert SoftwareKeyStore.from_file(path).versions() == [2]
    for person, value in sealed[:: max(1, len(sealed) // 500)]:
        assert await read(works, fresh, person, value) == TEXT
    now = await standing(works, store)
    assert set(now.wrapped) == {2}
    assert now.wrapped[2] >= count
    return done, reads, seconds


async def test_c4_rotated_rewrapped_and_destroyed_under_load_everything_is_readable(
    works: Works, tmp_path: Path
) -> None:
    path = tmp_path / "master.key"
    SoftwareKeyStore.open_or_create(path)
    done, reads, _ = await rotated_under_load(works, path, 3_000)
    assert done >= 3_000
    assert reads > 0


@pytest.mark.long
async def test_c4_two_hundred_and_twenty_thousand_keys_are_rewrapped_under_load(
    works: Works, tmp_path: Path
) -> None:
    path = tmp_path / "master.key"
    SoftwareKeyStore.open_or_create(path)
    done, reads, seconds = await rotated_under_load(works, path, 220_000)
    print(f"{done:,} data keys wrapped anew in {seconds:.1f} s; {reads:,} reads meanwhile")
    assert done >= 220_000


async def test_a_key_in_use_is_not_destroyed(works: Works, tmp_path: Path) -> None:
    store = SoftwareKeyStore.open_or_create(tmp_path / "master.key")
    [(person, sealed)] = await keys_made(works, store, 1)
    with pytest.raises(KeyStoreError, match="the one in use"):
        await store.destroy(1)
    await store.rotate()
    with pytest.raises(KeyStoreError, match="rewrap first"):
        await destroy_version(works, store, 1)
    assert store.versions() == [1, 2]
    assert await read(works, Vault(store), person, sealed) == TEXT
    with pytest.raises(KeyStoreError, match="no wrapping key 9"):
        await store.destroy(9)


async def test_a_process_that_missed_the_rotation_is_sent_back_and_goes_on(
    works: Works, tmp_path: Path
) -> None:
    """It wrapped with the old key before the rotation, and stores only after the key's end."""
    path = tmp_path / "master.key"
    store = SoftwareKeyStore.open_or_create(path)
    tries = 0

    async def late(work: Work) -> None:
        nonlocal tries
        tries += 1
        key_id, scope = new_id(), f"person:{new_id()}"
        wrapped = await slow.wrap(bytes(32), context_of(key_id, scope))
        if tries == 1:
            await store.rotate()
            await destroy_version(works, store, 1)
        await work.execute(
            "insert into vault_keys (key_id, scope, wrapped) values ($1, $2, $3)",
            key_id,
            scope,
            wrapped,
        )

    slow = SoftwareKeyStore.from_file(path)
    await works.perform(SYSTEM, None, late)
    assert tries == 2
    assert (await standing(works, store)).wrapped == {2: 1}


async def test_cut_off_between_the_table_and_the_key_store_nothing_is_lost(
    works: Works, tmp_path: Path
) -> None:
    store = SoftwareKeyStore.open_or_create(tmp_path / "master.key")
    [(person, sealed)] = await keys_made(works, store, 1)
    await store.rotate()
    await rewrap_all(works, store)
    await works.perform(SYSTEM, None, lambda work: rotation.retire(work, 1))
    assert store.versions() == [1, 2]  # the command died here
    assert await read(works, Vault(store), person, sealed) == TEXT
    await destroy_version(works, store, 1)
    assert store.versions() == [2]


async def test_a_person_shredded_while_keys_are_rewrapped_stays_shredded(
    works: Works, tmp_path: Path
) -> None:
    store = SoftwareKeyStore.open_or_create(tmp_path / "master.key")
    [(person, sealed)] = await keys_made(works, store, 1)
    await store.rotate()

    class Interrupted:
        """Between reading the key and writing it back, somebody shreds it."""

        def versions(self) -> list[int]:
            return store.versions()

        async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
            await works.perform(
                SYSTEM, None, lambda work: Vault(store).shred(work, f"person:{person}")
            )
            return await store.unwrap(wrapped, context)

        wrap = store.wrap

    done = await works.perform(
        SYSTEM,
        None,
        lambda work: rotation.rewrap(work, Interrupted(), after=rotation.FIRST),  # type: ignore[arg-type]
    )
    assert done[1] == 0
    with pytest.raises(Refused):
        await read(works, Vault(store), person, sealed)


async def test_the_status_names_a_wrapping_key_that_is_missing(
    works: Works, tmp_path: Path, database: Database
) -> None:
    store = SoftwareKeyStore.open_or_create(tmp_path / "master.key")
    await keys_made(works, store, 2)
    lines = told(await standing(works, store))
    assert lines == ["wrapping key 1: 2 data keys, wraps"]
    await database.run("update vault_keys set wrapped = '\\x0007'::bytea || substr(wrapped, 3)")
    lines = told(await standing(works, store))
    assert "wrapping key 7 IS MISSING: 2 data keys" in lines


async def test_two_rotations_at_once_make_two_keys_and_lose_none(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    stores = [SoftwareKeyStore.open_or_create(path) for _ in range(4)]
    assert sorted(await asyncio.gather(*(store.rotate() for store in stores))) == [2, 3, 4, 5]
    assert SoftwareKeyStore.from_file(path).versions() == [1, 2, 3, 4, 5]
    derived = {store.derived("pepper:x") for store in stores}
    assert derived == {SoftwareKeyStore.from_file(path).derived("pepper:x")}
    assert path.stat().st_mode & 0o077 == 0


async def test_another_file_in_its_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    store = SoftwareKeyStore.open_or_create(path)
    path.unlink()
    SoftwareKeyStore.open_or_create(path)
    with pytest.raises(KeyStoreError, match="replaced by another"):
        await store.wrap(bytes(32), b"x")
