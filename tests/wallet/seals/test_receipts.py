"""A receipt verifies with the public key alone, and says why when it does not."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests import world
from tests.crash.harness import ROOT
from tests.wallet.seals.sealed import BANK, KEYS, PlainSigner, pay, seal_all, tamper
from wallet.identifiers import BankId, HolderId, TransferId, new_id
from wallet.money import Money
from wallet.outcomes import Reason, Refused
from wallet.seals import chain, code, issuing, leaves, receipt
from wallet.seals.leaves import EPOCH, FIELDS, Kind, Log
from wallet.seals.receipt import BadReceipt, Receipt
from wallet.seals.sealing import SealsBroken
from wallet.work import SYSTEM, Works


async def issue(
    works: Works, batch: int = 1024, before: int = 40, after: int = 3
) -> tuple[Receipt, HolderId]:
    """One holder's entry among others, and its receipt."""
    await pay(works, before)
    holder = await world.holder(works)
    transfer = await world.fund(works, BANK, holder.khr, Money.khr(5_000))
    await pay(works, after)
    await seal_all(works, batch=batch)
    return await works.read(
        SYSTEM, BANK, lambda work: issuing.receipt_of(work, holder.id, transfer)
    ), holder.id


def verified(data: bytes, keys: chain.Keys = KEYS) -> str:
    """What is said of it: `right`, or why not."""
    try:
        receipt.verify(receipt.read(data), keys)
    except BadReceipt as bad:
        return str(bad)
    return "right"


async def test_both_forms_verify_and_are_the_same(works: Works) -> None:
    issued, _ = await issue(works)
    assert issued.entry["amount_minor"] == 5_000
    as_json, as_text = receipt.to_json(issued), receipt.to_qr(issued)
    assert verified(as_json) == verified(as_text.encode()) == "right"
    assert receipt.read(as_json) == receipt.read(as_text.encode()) == issued
    envelope = json.dumps({"receipt": json.loads(as_json), "qr_text": as_text})
    assert verified(envelope.encode()) == "right"


async def test_the_first_last_and_only_leaf_of_a_batch(works: Works) -> None:
    for batch, before in ((8, 7), (8, 8), (1, 2), (1024, 0)):
        issued, _ = await issue(works, batch, before)
        assert verified(receipt.to_json(issued)) == "right"


NOT_RECEIPTS = {
    b"": "empty",
    b" \n": "empty",
    b"[]": "neither its JSON nor the text",
    b"{}": "not a receipt",
    b'{"a": }': "not JSON",
    b"\x00\xff\x89PNG": "neither its JSON nor the text",
    b"{" * 100_000: "larger than any receipt",
    b'{"a":' * 10_000: "nested too deep",
}


@pytest.mark.parametrize(("data", "why"), NOT_RECEIPTS.items(), ids=NOT_RECEIPTS.values())
def test_what_is_no_receipt_is_told_so(data: bytes, why: str) -> None:
    assert why in verified(data)


def changed_ones(data: bytes) -> dict[bytes, str]:
    """The same receipt with one thing changed, and what is to be said of it."""
    form: dict[str, Any] = json.loads(data)

    def with_change(**changes: Any) -> bytes:
        return json.dumps({**form, **changes}).encode()

    def entry(**changes: Any) -> bytes:
        return with_change(entry={**form["entry"], **changes})

    def seal(**changes: Any) -> bytes:
        return with_change(seal={**form["seal"], **changes})

    changed, path = "the entry or its proof was changed", form["path"]
    return {
        entry(amount_minor=5_001): changed,
        entry(credit_account_id=1): changed,
        entry(at="2026-01-12T02:00:00.000001Z"): changed,
        entry(reference=str(new_id())): changed,
        with_change(place=form["place"] ^ 1): changed,
        with_change(path=[path[1], path[0], *path[2:]]): changed,
        with_change(path=path[:-1]): "not as many steps",
        with_change(path=[]): "not as many steps",
        with_change(place=10_000): "not as many steps",
        seal(root=path[0]): "signature",
        seal(entries=form["seal"]["entries"] + 1): "signature",
        seal(number=form["seal"]["number"] + 1): "signature",
        seal(signature="AAAA"): "signature",
        seal(log=2): "not one over the journal",
        seal(key="00" * 8): "not among the public keys",
        with_change(format="smartid.receipt/2"): "another form",
        data[:-40]: "cut short",
        **dict.fromkeys(
            [
                seal(log=7), seal(number=-1), seal(number=2**70), seal(root="AAAA"),
                seal(sealed_at="2026-01-12"), entry(amount_minor="5000"),
                entry(amount_minor=2**70), entry(id="x"), entry(more=1), with_change(entry={}),
                with_change(more=1),
            ],
            "mangled",
        ),
    }  # fmt: skip


async def test_whatever_is_changed_is_named(works: Works) -> None:
    issued, _ = await issue(works)
    data = receipt.to_json(issued)
    for text, why in changed_ones(data).items():
        assert why in verified(text), (why, verified(text), text[:200])
    other = chain.keys_of([PlainSigner(2).public_key])
    assert "not among the public keys" in verified(data, other)
    stolen = {next(iter(KEYS)): PlainSigner(2).public_key}
    assert "the signature of seal" in verified(data, stolen)


async def test_no_changed_byte_of_the_code_is_believed(works: Works) -> None:
    issued, _ = await issue(works)
    text = receipt.to_qr(issued)
    for place in range(len(text)):
        for other in ("0", "Z"):
            if other != text[place]:
                assert verified((text[:place] + other + text[place + 1 :]).encode()) != "right"
    for cut in range(0, len(text), 7):
        assert verified(text[:cut].encode()) != "right"


@given(st.binary(max_size=600))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    assert verified(data) != "right"
    assert verified(receipt.QR_PREFIX.encode() + data) != "right"


VALUES = {
    Kind.UUID: st.uuids(),
    Kind.INT8: st.integers(-(2**63), 2**63 - 1),
    Kind.XID8: st.integers(0, 2**63 - 1),
    Kind.TEXT: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    Kind.MOMENT: st.datetimes(timezones=st.just(EPOCH.tzinfo)),
}
ROWS = st.fixed_dictionaries(
    {name: st.none() | VALUES[kind] for name, kind in FIELDS[Log.TRANSFERS].items()}
)


@given(ROWS, ROWS)
def test_canonical_bytes_are_one_to_one(row: dict[str, Any], other: dict[str, Any]) -> None:
    content = leaves.canonical(Log.TRANSFERS, row)
    assert leaves.read_back(Log.TRANSFERS, content) == row
    assert (leaves.canonical(Log.TRANSFERS, other) == content) == (other == row)


async def test_the_qr_code_is_of_a_practical_size_and_reads_as_written(works: Works) -> None:
    issued, _ = await issue(works, before=100, after=1000)
    assert len(issued.path) == 10
    text = receipt.to_qr(issued)
    png, svg = code.drawn(text)
    assert "<svg" in svg
    image = Image.open(io.BytesIO(base64.b64decode(png.partition(",")[2])))
    (read,) = zxingcpp.read_barcodes(image)
    assert read.text == text
    assert verified(read.text.encode()) == "right"
    side = image.width // 4 - 8
    assert side <= 4 * 22 + 17  # version 22


async def test_a_holder_gets_receipts_of_their_own_entries_only(works: Works) -> None:
    issued, holder = await issue(works)
    transfer = TransferId(issued.entry["id"])  # type: ignore[arg-type]
    other = await world.holder(works)
    for who, bank, what in (
        (other.id, BANK, transfer),
        (holder, BankId("WING"), transfer),
        (holder, BANK, TransferId(new_id())),
    ):
        with pytest.raises(Refused) as refused:
            await works.read(
                SYSTEM, bank, lambda work, w=who, t=what: issuing.receipt_of(work, w, t)
            )
        assert refused.value.reason is Reason.NOT_FOUND


async def test_too_early_is_told_so_and_later_it_is_there(works: Works) -> None:
    holder = await world.holder(works)
    transfer = await world.fund(works, BANK, holder.khr, Money.khr(5_000))
    with pytest.raises(Refused) as refused:
        await works.read(SYSTEM, BANK, lambda work: issuing.receipt_of(work, holder.id, transfer))
    assert refused.value.reason is Reason.NOT_YET_SEALED
    assert refused.value.reason.retryable
    await seal_all(works)
    await works.read(SYSTEM, BANK, lambda work: issuing.receipt_of(work, holder.id, transfer))


async def test_no_receipt_for_an_entry_that_was_changed(works: Works, database_url: str) -> None:
    holder = await world.holder(works)
    transfer = await world.fund(works, BANK, holder.khr, Money.khr(5_000))
    await seal_all(works)
    await tamper(database_url, "update transfers set amount_minor = 9 where id = $1", transfer)
    with pytest.raises(SealsBroken):
        await works.read(SYSTEM, BANK, lambda work: issuing.receipt_of(work, holder.id, transfer))


ALONE = """
import socket, sys
def refuse(*a, **k): raise AssertionError("no network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from runtime.cli import main
main()
"""


def alone(folder: Path, *words: str) -> tuple[int, str]:
    """The command in a process of its own, with nothing to ask: its status and what it printed."""
    nowhere = {
        "DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    done = subprocess.run(
        [sys.executable, "-c", ALONE, "--data", str(folder), *words],
        cwd=ROOT,
        env=nowhere,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


async def test_the_command_verifies_with_only_the_public_key(works: Works, tmp_path: Path) -> None:
    """A fresh process, an empty folder, servers that are not there, a network that refuses."""
    issued, _ = await issue(works)
    (tmp_path / "keys.txt").write_text(chain.key_lines(KEYS))
    (tmp_path / "thief.txt").write_text(chain.key_lines(chain.keys_of([bytes(32)])))
    (tmp_path / "receipt.json").write_bytes(receipt.to_json(issued))
    (tmp_path / "receipt.txt").write_text(receipt.to_qr(issued))
    changed = receipt.to_json(issued).replace(b"5000", b"9000", 1)
    (tmp_path / "changed.json").write_bytes(changed)

    def smartid(*words: str) -> tuple[int, str]:
        return alone(tmp_path, *words)

    key = ("--key", str(tmp_path / "keys.txt"))
    for name in ("receipt.json", "receipt.txt"):
        status, told = smartid("receipt", "verify", str(tmp_path / name), *key)
        assert status == 0, told
        assert "right: opening (posted) of 5,000" in told
    status, told = smartid("receipt", "verify", str(tmp_path / "changed.json"), *key)
    assert (status, "was changed" in told) == (1, True), told
    thief = ("--key", str(tmp_path / "thief.txt"))
    status, told = smartid("receipt", "verify", str(tmp_path / "receipt.json"), *thief)
    assert (status, "not among the public keys" in told) == (1, True), told
    status, told = smartid("receipt", "verify", str(tmp_path / "receipt.json"))
    assert (status, "--key FILE" in told) == (1, True), told
    status, told = smartid("receipt", "verify", str(tmp_path / "nothing.json"), *key)
    assert (status, "No such file" in told) == (1, True), told
    text = receipt.to_qr(issued)
    broken = {
        "cut.json": receipt.to_json(issued)[:-40],
        "empty.json": b"",
        "cut.txt": text[:-9].encode(),
        "other.txt": text.replace(text[40], "0" if text[40] != "0" else "1", 1).encode(),
        "khqr.txt": b"00020101021229370009khqr@aclb",
    }
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
        status, told = smartid("receipt", "verify", str(tmp_path / name), *key)
        assert (status, told.startswith("WRONG: "), told.count("\n")) == (1, True, 1), (name, told)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == []
