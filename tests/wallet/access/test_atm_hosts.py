"""Keys of ATM hosts: two live ones a bank, known at once and unknown at once."""

import asyncio

import pytest

from tests import world
from wallet.access import atm_hosts, machines
from wallet.access.machines import Algorithm, MachineKey
from wallet.database import Database
from wallet.identifiers import BankId, Secret
from wallet.outcomes import Reason, Refused
from wallet.vault import Vault
from wallet.work import SYSTEM, Works

ACLEDA, WING = BankId("ACLEDA"), BankId("WING")
SHARED = b"a secret shared with the bank's host"


@pytest.fixture(autouse=True)
async def banks(works: Works) -> None:
    await world.establish(works)


async def add(
    works: Works,
    vault: Vault,
    keyid: str,
    *,
    bank: BankId = ACLEDA,
    algorithm: Algorithm = Algorithm.HMAC_SHA256,
    key: bytes = SHARED,
) -> None:
    await works.perform(
        SYSTEM,
        None,
        lambda work: machines.add_key(
            work,
            vault,
            machine=machines.atm_host(bank),
            keyid=keyid,
            algorithm=algorithm,
            key=Secret(key),
        ),
    )


async def named(works: Works, vault: Vault, keyid: str, terminal: str = "ATM00001") -> MachineKey:
    found = await machines.key_named(works, vault, keyid, terminal)
    assert found is not None
    return found


async def test_a_shared_secret_comes_back_as_it_was_and_stands_sealed(
    works: Works, vault: Vault, database: Database
) -> None:
    await add(works, vault, "acleda-1")
    found = await named(works, vault, "acleda-1")
    assert (found.machine.bank, found.algorithm) == (ACLEDA, Algorithm.HMAC_SHA256)
    assert found.key.reveal() == SHARED
    dump = str(await database.rows("select row_to_json(k)::text from machine_keys k"))
    assert SHARED.hex() not in dump


async def test_a_bank_has_two_live_keys_and_changes_one_in_service(
    works: Works, vault: Vault
) -> None:
    await add(works, vault, "acleda-1")
    await add(works, vault, "acleda-2", algorithm=Algorithm.ED25519, key=bytes(32))
    with pytest.raises(Refused) as refused:
        await add(works, vault, "acleda-3")
    assert refused.value.reason is Reason.CONFLICT
    await works.perform(SYSTEM, None, lambda work: machines.retire_key(work, "acleda-1"))
    assert await machines.key_named(works, vault, "acleda-1", "ATM00001") is None
    await add(works, vault, "acleda-3")
    for keyid in ("acleda-2", "acleda-3"):
        await named(works, vault, keyid)
    await add(works, vault, "wing-1", bank=WING)


async def test_a_retired_id_never_comes_back(works: Works, vault: Vault) -> None:
    await add(works, vault, "acleda-1")
    await works.perform(SYSTEM, None, lambda work: machines.retire_key(work, "acleda-1"))
    with pytest.raises(Refused) as refused:
        await add(works, vault, "acleda-1")
    assert refused.value.reason is Reason.CONFLICT


async def test_of_many_keys_added_at_once_two_live(works: Works, vault: Vault) -> None:
    adding = (add(works, vault, f"k{i}") for i in range(8))
    answers = await asyncio.gather(*adding, return_exceptions=True)
    assert sum(answer is None for answer in answers) <= 2
    assert all(answer is None or isinstance(answer, Refused) for answer in answers)


@pytest.mark.parametrize(
    ("keyid", "algorithm", "key"),
    [
        ("k", Algorithm.ED25519, bytes(31)),
        ("k", Algorithm.HMAC_SHA256, bytes(31)),
        ("k", Algorithm.HMAC_SHA256, bytes(129)),
        ("", Algorithm.HMAC_SHA256, bytes(32)),
        ('k"', Algorithm.HMAC_SHA256, bytes(32)),
    ],
)
async def test_keys_of_a_wrong_form_are_refused(
    works: Works, vault: Vault, keyid: str, algorithm: Algorithm, key: bytes
) -> None:
    with pytest.raises(Refused) as refused:
        await add(works, vault, keyid, algorithm=algorithm, key=key)
    assert refused.value.reason is Reason.INVALID_REQUEST


async def test_a_terminal_stands_under_its_own_bank_until_removed(
    works: Works, vault: Vault
) -> None:
    await add(works, vault, "acleda-1")
    await add(works, vault, "wing-1", bank=WING)
    await works.perform(
        SYSTEM,
        None,
        lambda work: atm_hosts.list_terminals(work, ACLEDA, ["ATM00001"], ["Phsar Thmei"]),
    )
    assert (await named(works, vault, "acleda-1")).terminal_listed
    assert not (await named(works, vault, "wing-1")).terminal_listed
    assert not (await named(works, vault, "acleda-1", "ATM00002")).terminal_listed
    await works.perform(
        SYSTEM, None, lambda work: atm_hosts.remove_terminal(work, ACLEDA, "ATM00001")
    )
    assert not (await named(works, vault, "acleda-1")).terminal_listed


def test_our_own_key_is_the_same_in_every_process_and_never_shown(vault: Vault) -> None:
    one, other = machines.answer_key(vault), machines.answer_key(vault)
    assert one.public == other.public
    assert "***" in repr(one)
