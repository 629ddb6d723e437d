"""The key store in an HSM, against SoftHSM where Debian's package and the client are installed."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.vault_commands import destroy_version, rewrap_all, standing
from wallet.identifiers import Secret, new_id
from wallet.vault import KeyStoreError, Vault
from wallet.vault.pkcs11 import Pkcs11KeyStore
from wallet.work import SYSTEM, Work, Works

MODULE = next(
    (
        str(place)
        for place in (
            Path("/usr/lib/softhsm/libsofthsm2.so"),
            Path("/usr/lib64/pkcs11/libsofthsm2.so"),
        )
        if place.exists()
    ),
    "",
)
PIN = "4839201"

pytestmark = [
    pytest.mark.skipif(
        not MODULE or shutil.which("softhsm2-util") is None,
        reason="SoftHSM is not installed (Debian: apt-get install softhsm2)",
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("pkcs11") is None,
        reason="python-pkcs11 is not installed (pip install 'smartid-wallet[hsm]')",
    ),
]


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n")
    # The library reads it when it is first opened, once a process.
    os.environ["SOFTHSM2_CONF"] = str(settings)
    subprocess.run(
        [
            "softhsm2-util",
            "--init-token",
            "--free",
            "--label",
            "wall",
            "--pin",
            PIN,
            "--so-pin",
            "12345678",
        ],
        check=True,
        capture_output=True,
    )
    return "wall"


@pytest.fixture(scope="module")
def store(token: str) -> Pkcs11KeyStore:
    return Pkcs11KeyStore(MODULE, token, Secret(PIN))


async def test_what_the_token_wrapped_it_unwraps_in_its_context_alone(
    store: Pkcs11KeyStore,
) -> None:
    key = os.urandom(32)
    wrapped = await store.wrap(key, b"id|person:1")
    assert key not in wrapped
    assert await store.unwrap(wrapped, b"id|person:1") == key
    with pytest.raises(KeyStoreError) as caught:
        await store.unwrap(wrapped, b"id|person:2")
    assert PIN not in str(caught.value)
    for place in (0, 1, 5, 20, len(wrapped) - 1):
        altered = bytearray(wrapped)
        altered[place] ^= 1
        with pytest.raises(KeyStoreError):
            await store.unwrap(bytes(altered), b"id|person:1")


async def test_derived_keys_are_the_same_for_ever_and_apart_by_purpose(
    store: Pkcs11KeyStore,
) -> None:
    first = store.derived("pepper:pin")
    assert len(first) == 32
    assert store.derived("pepper:pin") == first
    assert store.derived("index:phone") != first


async def test_the_whole_vault_stands_on_a_token_and_rotates(
    works: Works, store: Pkcs11KeyStore
) -> None:
    person = new_id()

    async def act(work: Work) -> bytes:
        scope = f"person:{person}"
        return await Vault(store).seal(work, scope, "holders", "phone_sealed", person, b"+8551")

    sealed = await works.perform(SYSTEM, None, act)
    newest = await store.rotate()
    assert await rewrap_all(works, store) == 1
    await destroy_version(works, store, newest - 1)
    assert (await standing(works, store)).versions == [newest]

    async def query(work: Work) -> bytes:
        opened = await Vault(store).unseal(work, sealed, "holders", "phone_sealed", person)
        return opened.reveal()

    assert await works.read(SYSTEM, None, query) == b"+8551"


async def test_no_key_leaves_the_token(store: Pkcs11KeyStore) -> None:
    import pkcs11

    for key in store._found().values():
        with pytest.raises(pkcs11.exceptions.PKCS11Error):
            key[pkcs11.Attribute.VALUE]


def test_a_wrong_pin_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(KeyStoreError) as caught:
        Pkcs11KeyStore(MODULE, token, Secret("9999999"))
    assert "9999999" not in str(caught.value)
    with pytest.raises(KeyStoreError):
        Pkcs11KeyStore(MODULE, "no such token", Secret(PIN))
