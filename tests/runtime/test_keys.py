"""`smartid keys`: a secret is shown once, what was revoked is refused, a mistake is one line."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from runtime.embedded import Embedded
from runtime.key_commands import keys
from runtime.settings import Settings, SettingsError, read
from tests import world
from wallet.access import machines
from wallet.vault import Vault
from wallet.vault.keystore import SoftwareKeyStore
from wallet.work import Works


class Command:
    """`smartid keys ...` on this test's database, in this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, *words: str, refused: str = "") -> str:
        run = partial(CliRunner().invoke, keys, list(words), obj=self._settings)
        told = await asyncio.to_thread(run)
        if refused:
            assert isinstance(told.exception, SettingsError), told.output
            assert refused in str(told.exception)
        else:
            assert told.exit_code == 0, told.output
        return told.output


@pytest.fixture
async def smartid_keys(
    works: Works, database_url: str, servers: Embedded, tmp_path: Path
) -> Command:
    await world.establish(works, "MCS")
    environ = {"DATABASE_URL": database_url, "REDIS_URL": servers.redis_url}
    return Command(read(tmp_path / "data", environ))


def certificate(to: Path) -> Path:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host.acleda.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, None)
    )
    to.write_bytes(made.public_bytes(Encoding.PEM))
    return to


async def test_the_life_of_keys_at_the_command(
    smartid_keys: Command, works: Works, tmp_path: Path
) -> None:
    first = await smartid_keys("issue", "atm", "ACLEDA", "--alg", "hmac-sha256")
    assert "keyid  acleda-atm-1" in first
    [shown] = [line.split()[1] for line in first.splitlines() if line.startswith("secret")]
    vault = Vault(SoftwareKeyStore.open_or_create(tmp_path / "data" / "master.key"))
    known = await machines.key_named(works, vault, "acleda-atm-1", "")
    assert known is not None
    assert known.key.reveal() == base64.b64decode(shown)
    second = await smartid_keys("rotate", "atm", "ACLEDA", "--overlap-hours", "2")
    assert "keyid  acleda-atm-2" in second
    told = await smartid_keys("list")
    assert shown not in told, "once"
    assert "ends 20" in told
    await smartid_keys("revoke", "acleda-atm-1")
    assert await machines.key_named(works, vault, "acleda-atm-1", "") is None
    await smartid_keys("revoke", "acleda-atm-1", refused="no such key")
    file = str(certificate(tmp_path / "host.pem"))
    assert "allowed: SHA-256" in await smartid_keys("allow-certificate", "atm", "ACLEDA", file)
    found = await machines.key_named(works, vault, "acleda-atm-2", "")
    assert found is not None
    assert len(found.certificates) == 1
    await smartid_keys("refuse-certificate", file)


async def test_an_owner_may_bring_their_own_public_half(smartid_keys: Command) -> None:
    own = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode(
        "ascii"
    )
    told = await smartid_keys("issue", "agency", "MCS", "--public-key", own)
    assert "keyid  mcs-agency-1" in told
    assert "secret" not in told
    for wrong in ("AAAA", "not base64!"):
        await smartid_keys("issue", "bank", "WING", "--public-key", wrong, refused="key")
    await smartid_keys("issue", "bank", "NOWHERE", refused="bank or agency")
