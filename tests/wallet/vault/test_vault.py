"""What the vault promises: opened only in its own place, only with its own key, never printed."""

import asyncio
import stat
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from wallet.identifiers import BankId, new_id
from wallet.outcomes import Reason, Refused
from wallet.vault import (
    KeyGoneError,
    KeyStoreError,
    Plain,
    SealBrokenError,
    Sealed,
    SoftwareKeyStore,
    Vault,
    cards_scope,
    key_of,
    person_scope,
)
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")
ROOT = bytes(range(32))
NUMBER = b"9116011012345676"
SCOPE = "cards:ACLEDA:2026-01"


async def sealed_once(works: Works, vault: Vault, row: UUID, plaintext: bytes = NUMBER) -> bytes:
    async def act(work: Work) -> bytes:
        return await vault.seal(work, SCOPE, "virtual_cards", "number_sealed", row, plaintext)

    return await works.perform(SYSTEM, ACLEDA, act)


async def opened(
    works: Works,
    vault: Vault,
    sealed: bytes,
    row: UUID,
    table: str = "virtual_cards",
    column: str = "number_sealed",
) -> bytes:
    async def query(work: Work) -> bytes:
        return (await vault.unseal(work, sealed, table, column, row)).reveal()

    return await works.read(SYSTEM, ACLEDA, query)


async def test_what_was_sealed_opens_in_its_place_also_in_another_process(works: Works) -> None:
    row = new_id()
    sealed = await sealed_once(works, Vault(SoftwareKeyStore(ROOT)), row)
    assert NUMBER not in sealed
    assert await opened(works, Vault(SoftwareKeyStore(ROOT)), sealed, row) == NUMBER


@pytest.mark.parametrize("moved", ["row", "column", "table"])
async def test_a_value_moved_to_another_row_column_or_table_does_not_open(
    works: Works, vault: Vault, moved: str
) -> None:
    row = new_id()
    sealed = await sealed_once(works, vault, row)
    with pytest.raises(SealBrokenError) as caught:
        await opened(
            works,
            vault,
            sealed,
            new_id() if moved == "row" else row,
            "holders" if moved == "table" else "virtual_cards",
            "phone_sealed" if moved == "column" else "number_sealed",
        )
    assert NUMBER.decode() not in str(caught.value)


async def test_every_altered_byte_is_noticed(works: Works, vault: Vault) -> None:
    row = new_id()
    sealed = await sealed_once(works, vault, row)
    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises((SealBrokenError, KeyGoneError)):
            await opened(works, vault, bytes(altered), row)
    with pytest.raises(SealBrokenError):
        await opened(works, vault, b"", row)


async def test_the_same_text_never_seals_to_the_same_bytes(works: Works, vault: Vault) -> None:
    row = new_id()

    async def act(work: Work) -> list[bytes]:
        sealer = await vault.sealer(work, SCOPE)
        return [sealer.seal("virtual_cards", "number_sealed", row, NUMBER) for _ in range(2_000)]

    values = await works.perform(SYSTEM, ACLEDA, act)
    nonces = {value[17:29] for value in values}
    assert len(nonces) == len(set(values)) == 2_000


async def test_a_group_of_any_scopes_is_sealed_and_opened_in_order(
    works: Works, vault: Vault
) -> None:
    people = [new_id() for _ in range(50)]

    async def act(work: Work) -> list[bytes]:
        return await vault.seal_many(
            work,
            [
                Plain(
                    scope=person_scope(person),
                    table="holders",
                    column="phone_sealed",
                    row_id=person,
                    plaintext=str(person).encode(),
                )
                for person in people
            ],
        )

    values = await works.perform(SYSTEM, ACLEDA, act)
    assert len({key_of(value) for value in values}) == 50

    async def query(work: Work) -> list[bytes]:
        fields = [
            Sealed(sealed=value, table="holders", column="phone_sealed", row_id=person)
            for value, person in zip(values, people, strict=True)
        ]
        return [secret.reveal() for secret in await vault.unseal_many(work, fields)]

    assert await works.read(SYSTEM, ACLEDA, query) == [str(p).encode() for p in people]


async def test_twenty_at_once_agree_on_one_key_for_a_scope(works: Works) -> None:
    row = new_id()
    vaults = [Vault(SoftwareKeyStore(ROOT)) for _ in range(20)]
    values = await asyncio.gather(*(sealed_once(works, vault, row) for vault in vaults))
    assert len({key_of(value) for value in values}) == 1


async def test_a_key_whose_transaction_rolled_back_seals_nothing_later(
    works: Works, vault: Vault
) -> None:
    async def fails(work: Work) -> None:
        await vault.seal(work, SCOPE, "virtual_cards", "number_sealed", new_id(), NUMBER)
        raise Refused(Reason.CONFLICT)

    with pytest.raises(Refused):
        await works.perform(SYSTEM, ACLEDA, fails)
    row = new_id()
    sealed = await sealed_once(works, vault, row)
    assert await opened(works, Vault(vault._keystore), sealed, row) == NUMBER


async def test_a_shredded_scope_stays_shut(works: Works, vault: Vault) -> None:
    row = new_id()
    sealed = await sealed_once(works, vault, row)

    async def act(work: Work) -> None:
        await vault.shred(work, SCOPE)

    await works.perform(SYSTEM, ACLEDA, act)
    with pytest.raises(KeyGoneError):
        await opened(works, vault, sealed, row)
    later = await sealed_once(works, vault, row)
    assert key_of(later) != key_of(sealed)


async def test_another_key_store_is_told_apart_at_start_up(works: Works) -> None:
    row = new_id()
    sealed = await sealed_once(works, Vault(SoftwareKeyStore(ROOT)), row)
    stranger = Vault(SoftwareKeyStore(bytes(32)))
    with pytest.raises(KeyStoreError, match="restore the original"):
        await works.read(SYSTEM, ACLEDA, stranger.check)
    with pytest.raises(KeyStoreError, match="not the one"):
        await opened(works, stranger, sealed, row)
    await works.read(SYSTEM, ACLEDA, Vault(SoftwareKeyStore(ROOT)).check)


async def test_no_secret_is_printed(works: Works, vault: Vault) -> None:
    field = Plain(scope=SCOPE, table="t", column="c", row_id=1, plaintext=NUMBER)
    assert NUMBER.decode() not in repr(field)
    row = new_id()
    sealed = await sealed_once(works, vault, row)

    async def query(work: Work) -> str:
        secret = await vault.unseal(work, sealed, "virtual_cards", "number_sealed", row)
        return f"{secret} {secret!r} {[secret]} {secret:>30}"

    assert NUMBER.decode() not in await works.read(SYSTEM, ACLEDA, query)


def test_look_ups_are_equal_for_equal_texts_and_apart_by_purpose_and_store() -> None:
    vault, same = Vault(SoftwareKeyStore(ROOT)), Vault(SoftwareKeyStore(ROOT))
    other = Vault(SoftwareKeyStore(bytes(32)))
    index = vault.blind_index("card", "9116011012345676")
    assert index == same.blind_index("card", "9116011012345676")
    assert len(index) == 32
    different = {
        vault.blind_index("phone", "9116011012345676"),
        vault.blind_index("card", "9116011012345675"),
        other.blind_index("card", "9116011012345676"),
        vault.pepper("card"),
        other.pepper("card"),
        vault.pepper("pin"),
    }
    assert index not in different
    assert len(different) == 6


def test_scopes_name_a_person_or_a_bank_and_month() -> None:
    person = new_id()
    assert person_scope(person) == f"person:{person}"
    assert cards_scope(ACLEDA, date(2026, 1, 31)) == SCOPE


class TestKeyFile:
    def test_is_made_once_for_its_owner_only(self, tmp_path: Path) -> None:
        path = tmp_path / "keys" / "vault.key"
        first = SoftwareKeyStore.open_or_create(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert SoftwareKeyStore.open_or_create(path).derived("x") == first.derived("x")
        assert [file.name for file in path.parent.iterdir()] == ["vault.key"]

    def test_readable_by_others_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "vault.key"
        SoftwareKeyStore.open_or_create(path)
        path.chmod(0o640)
        with pytest.raises(KeyStoreError, match="chmod 600"):
            SoftwareKeyStore.from_file(path)

    @pytest.mark.parametrize("content", ["", "{}", '{"root": "AAAA", "wrapping": {}}', "[]"])
    def test_malformed_is_refused_without_showing_it(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "vault.key"
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(KeyStoreError, match="not a key file"):
            SoftwareKeyStore.from_file(path)

    def test_missing_is_said_plainly(self, tmp_path: Path) -> None:
        with pytest.raises(KeyStoreError, match="No such file"):
            SoftwareKeyStore.from_file(tmp_path / "absent")

    async def test_older_wrapping_keys_still_unwrap_after_rotation(self) -> None:
        old = SoftwareKeyStore(ROOT, wrapping={1: bytes(32)})
        new = SoftwareKeyStore(ROOT, wrapping={1: bytes(32), 2: bytes([1] * 32)})
        wrapped = await old.wrap(b"k" * 32, b"context")
        assert await new.unwrap(wrapped, b"context") == b"k" * 32
        fresh = await new.wrap(b"k" * 32, b"context")
        with pytest.raises(KeyStoreError, match="no wrapping key 2"):
            await old.unwrap(fresh, b"context")
        with pytest.raises(KeyStoreError):
            await new.unwrap(fresh, b"another key's context")


async def test_c2_no_two_of_a_hundred_sealed_values_can_be_swapped(works: Works) -> None:
    """Any two values, across rows, columns, tables, people and key versions: never one of them
    opens in the other's place."""
    vault = Vault(SoftwareKeyStore(ROOT))
    places = [
        (person_scope(person), table, column, person)
        for person in (new_id() for _ in range(25))
        for table, column in (
            ("holders", "phone_sealed"),
            ("otp_standing", "totp_sealed"),
            ("otp_standing", "totp_next_sealed"),
            ("otp_challenges", "key_sealed"),
        )
    ]

    async def act(work: Work) -> list[bytes]:
        return await vault.seal_many(
            work,
            [
                Plain(scope=scope, table=table, column=column, row_id=row, plaintext=b"same text")
                for scope, table, column, row in places
            ],
        )

    sealed = await works.perform(SYSTEM, ACLEDA, act)

    async def swap(work: Work) -> int:
        unsealer = await vault.unsealer(work, sealed)
        refused = 0
        for i, value in enumerate(sealed):
            for j, (_, table, column, row) in enumerate(places):
                try:
                    opened = unsealer.unseal(value, table, column, row)
                except SealBrokenError:
                    refused += 1
                else:
                    assert i == j
                    assert opened.reveal() == b"same text"
        return refused

    assert await works.read(SYSTEM, ACLEDA, swap) == 100 * 99


@pytest.mark.long
async def test_c3_a_million_sealings_never_repeat_a_nonce(works: Works, vault: Vault) -> None:
    row = new_id()

    # Kept beyond its Work, which the server would not leave idle for so long.
    sealer = await works.perform(SYSTEM, ACLEDA, lambda work: vault.sealer(work, SCOPE))
    nonces = {
        sealer.seal("virtual_cards", "number_sealed", row, NUMBER)[17:29] for _ in range(1_000_000)
    }
    assert len(nonces) == 1_000_000
