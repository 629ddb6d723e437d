"""`smartid receipt` and `smartid seals` as they are called: given out by one machine, verified on
another that has neither database nor network, and whatever is wrong told in one line."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import seal_keys
from runtime.embedded import Embedded
from runtime.settings import Settings, read
from tests import world
from tests.crash.harness import ROOT
from tests.wallet.seals.sealed import BANK, pay
from tests.wallet.seals.test_receipts import alone
from wallet.identifiers import TransferId
from wallet.money import Money
from wallet.seals import issuing, receipt, sealing
from wallet.work import SYSTEM, Works


class Machine:
    """Where the books are: its commands in processes of their own, with its servers."""

    def __init__(self, settings: Settings, works: Works) -> None:
        self.settings, self.works = settings, works

    async def smartid(self, *words: str) -> tuple[int, bytes]:
        command = [sys.executable, "-m", "runtime", "--data", str(self.settings.data), *words]
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=ROOT,
            env=self.settings.environment_for_children(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    async def seal(self, batches: int = 3) -> TransferId:
        """Some entries, sealed in so many batches; answers one that has a holder."""
        holder = await world.holder(self.works)
        entry = await world.fund(self.works, BANK, holder.khr, Money.khr(5_000))
        await pay(self.works, 12)
        signer = seal_keys.signer_of(self.settings)
        while await sealing.seal_next(self.works, batch=16 // batches):
            pass
        while await sealing.sign_next(self.works, signer):
            pass
        self.holder_id = holder.id
        return entry

    async def receipt(self, entry: TransferId) -> bytes:
        issued = await self.works.read(
            SYSTEM, BANK, lambda work: issuing.receipt_of(work, self.holder_id, entry)
        )
        return receipt.to_json(issued)


@pytest.fixture
async def machine(works: Works, database_url: str, servers: Embedded, tmp_path: Path) -> Machine:
    environ = {"DATABASE_URL": database_url, "REDIS_URL": servers.redis_url}
    return Machine(read(tmp_path / "data", environ), works)


ONE_AFTER_ANOTHER = """
import contextlib, io, json, socket, sys
def refuse(*a, **k): raise AssertionError("no network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from runtime.cli import main
told = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["smartid", *words]
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            main()
            status = 0
        except SystemExit as left:
            status = left.code
    told.append([status, said.getvalue()])
print(json.dumps(told))
"""


def assert_wrong(folder: Path, *commands: tuple[str, ...]) -> None:
    """What the command says of what is not right: one line each, and nothing of a trace."""
    asked = json.dumps([["--data", str(folder), *words] for words in commands])
    nowhere = {
        "DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_ANOTHER, asked],
        cwd=ROOT,
        env=nowhere,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = json.loads(done.stdout)
    assert len(told) == len(commands)
    for words, (status, said) in zip(commands, told, strict=True):
        assert (status, said[:7], said.count("\n")) == (1, "WRONG: ", 1), (words, said)


async def test_a_receipt_of_one_machine_is_verified_on_another(
    machine: Machine, tmp_path: Path
) -> None:
    entry = await machine.seal()
    status, keys = await machine.smartid("receipt", "key")
    assert status == 0
    assert (machine.settings.data / seal_keys.PUBLIC_LIST).read_bytes() == keys
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "keys.txt").write_bytes(keys)
    given = elsewhere / "receipt.json"
    given.write_bytes(await machine.receipt(entry))
    key = ("--key", str(elsewhere / "keys.txt"))
    status, told = alone(elsewhere, "receipt", "verify", str(given), *key)
    assert (status, "right: opening (posted) of 5,000" in told) == (0, True), told
    changed = given.read_bytes().replace(b"5000", b"9000", 1)
    broken = {"changed": changed, "cut": given.read_bytes()[:-30], "empty": b""}
    for name, data in broken.items():
        (elsewhere / name).write_bytes(data)
    (elsewhere / "cut.txt").write_bytes(keys[:-20])
    assert_wrong(
        elsewhere,
        *(("receipt", "verify", str(elsewhere / name), *key) for name in broken),
        ("receipt", "verify", str(given), "--key", str(elsewhere / "cut.txt")),
    )


async def test_exported_headers_are_verified_line_by_line_on_another(
    machine: Machine, tmp_path: Path
) -> None:
    await machine.seal()
    _, keys = await machine.smartid("receipt", "key")
    status, exported = await machine.smartid("seals", "export")
    assert status == 0
    lines = exported.splitlines(keepends=True)
    assert len(lines) >= 3
    status, rest = await machine.smartid("seals", "export", "--since", "1")
    assert (status, rest) == (0, b"".join(lines[1:]))
    (tmp_path / "keys.txt").write_bytes(keys)
    key = ("--key", str(tmp_path / "keys.txt"))

    def verify(name: str, data: bytes) -> tuple[str, ...]:
        (tmp_path / name).write_bytes(data)
        return ("seals", "verify", str(tmp_path / name), *key)

    status, told = alone(tmp_path, *verify("whole", exported))
    assert (status, told.startswith("right: seals ")) == (0, True), told
    broken = {
        "empty": b"",
        "cut in a line": exported[:-30],
        "a line left out": lines[0] + b"".join(lines[2:]),
        "two lines exchanged": lines[1] + lines[0] + b"".join(lines[2:]),
        "a line twice": lines[0] + exported,
        "no headers at all": b"hello\\n",
        "another's signature": exported.replace(lines[1], _with_signature_of(lines[1], lines[2])),
    }
    assert_wrong(
        tmp_path,
        *(verify(name, data) for name, data in broken.items()),
        ("seals", "verify", str(tmp_path / "nothing"), *key),
    )


def _with_signature_of(line: bytes, other: bytes) -> bytes:
    """A header with the signature of another."""
    header, signed = json.loads(line), json.loads(other)
    assert header["signature"] != signed["signature"]
    header["signature"] = signed["signature"]
    return json.dumps(header, separators=(",", ":")).encode() + b"\n"
