"""A receipt: one journal entry, and the proof that it stands under a signed root.

Promise: pure; whoever has the public key verifies it, with no database and no network, and hears
in words what is wrong. Two forms of the same: JSON, for people and files; and text for a QR code,
`SMARTID1:` and base45 (RFC 9285), made of the characters that QR codes hold most densely.
Who calls: issuing, the phones' door, runtime (`smartid receipt verify`).

    the entry's fields -> leaf hash -> path -> root == the header's root
    the header -> signature by a key on the published list
"""

import struct
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from wallet.seals import base45, chain, leaves, merkle
from wallet.seals.chain import HEADER_BYTES, KEY_ID_BYTES, SIGNATURE_BYTES, Header, SignedHeader
from wallet.seals.form import SealForm, moment_text, read_moment, read_seal, seal_form
from wallet.seals.leaves import FIELDS, Kind, Log
from wallet.seals.merkle import HASH_BYTES

FORMAT: Final = "smartid.receipt/1"
QR_PREFIX: Final = "SMARTID1:"
LARGEST_FILE: Final = 64 * 1024
"""Bytes. A receipt is some two thousand; what is much larger is not read at all."""

_HEAD: Final = struct.Struct(f">{HEADER_BYTES}s{KEY_ID_BYTES}s{SIGNATURE_BYTES}sIB")


class BadReceipt(Exception):
    """Not a receipt to be believed; the text says why, in a sentence."""


class Receipt(Struct, frozen=True, kw_only=True):
    """`content`: the entry's canonical bytes. `place`: which leaf of the batch it is."""

    content: bytes
    place: int
    path: tuple[bytes, ...]
    signed: SignedHeader

    @property
    def entry(self) -> dict[str, leaves.Value]:
        """The entry's columns. Raises ValueError when the content is not canonical."""
        return leaves.read_back(Log.TRANSFERS, self.content)


class Form(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receipt as JSON. `entry` holds every column of the journal's row, moments as text."""

    format: Annotated[str, Meta(examples=[FORMAT])]
    entry: Annotated[
        dict[str, str | int | None],
        Meta(examples=[{"kind": "salary", "amount_minor": 1_309_477, "currency": "KHR"}]),
    ]
    place: Annotated[int, Meta(examples=[17])]
    path: Annotated[list[bytes], Meta(examples=[["q83v" * 10 + "q80="]])]
    seal: SealForm


def verify(receipt: Receipt, keys: chain.Keys) -> None:
    """Raises BadReceipt with the first thing that is wrong."""
    header = receipt.signed.header
    if header.log is not Log.TRANSFERS:
        raise BadReceipt("the seal is not one over the journal of transfers")
    try:
        leaves.read_back(Log.TRANSFERS, receipt.content)
    except ValueError as error:
        raise BadReceipt(f"the entry cannot be read: {error}") from None
    fault = chain.signature_fault(receipt.signed, keys)
    if fault is not None:
        raise BadReceipt(fault)
    leaf = merkle.leaf_hash(receipt.content)
    reached = merkle.root_by(leaf, receipt.place, header.entries, receipt.path)
    if reached is None:
        raise BadReceipt("the proof has not as many steps as the entry's place in its batch asks")
    if reached != header.root:
        raise BadReceipt(
            "the entry or its proof was changed: they do not lead to the root that was signed"
        )


def read(data: bytes) -> Receipt:
    """A receipt from a file or a scanned code, in either form.

    Raises BadReceipt: too large, cut short, not a receipt, of a newer form.
    """
    if len(data) > LARGEST_FILE:
        raise BadReceipt("this is larger than any receipt")
    if not data.strip():
        raise BadReceipt("the file is empty")
    text = data.strip()
    if text.startswith(QR_PREFIX.encode()):
        return from_qr(text.decode("ascii", errors="replace"))
    if text.startswith(b"{"):
        return from_json(text)
    raise BadReceipt("this is not a receipt: neither its JSON nor the text of its QR code")


def form_of(receipt: Receipt) -> Form:
    return Form(
        format=FORMAT,
        entry={name: _told(value) for name, value in receipt.entry.items()},
        place=receipt.place,
        path=list(receipt.path),
        seal=seal_form(receipt.signed),
    )


def to_json(receipt: Receipt) -> bytes:
    return msgspec.json.format(msgspec.json.encode(form_of(receipt)), indent=2) + b"\n"


def from_json(data: bytes) -> Receipt:
    """Raises BadReceipt; an answer of the phones' door, which holds the receipt, is taken too."""
    try:
        told: Any = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        if "truncated" in str(error):
            raise BadReceipt("the file is cut short") from None
        raise BadReceipt("this is not a receipt: it is not JSON") from None
    except RecursionError:
        raise BadReceipt("this is not a receipt: it is nested too deep") from None
    if isinstance(told, dict) and isinstance(told.get("receipt"), dict):
        told = told["receipt"]
    if not isinstance(told, dict) or not str(told.get("format")).startswith("smartid.receipt/"):
        raise BadReceipt("this is JSON, but not a receipt")
    if told["format"] != FORMAT:
        raise BadReceipt("this receipt is of another form than is known here")
    try:
        form = msgspec.convert(told, Form, strict=True)
        signed = read_seal(form.seal)
        row = {name: _read(name, value) for name, value in form.entry.items()}
        content = leaves.canonical(Log.TRANSFERS, row)
        if len(row) != len(FIELDS[Log.TRANSFERS]):
            raise ValueError("the entry has a field too many")
    except (msgspec.ValidationError, ValueError) as error:
        raise BadReceipt(f"the receipt is mangled: {error}") from None
    return Receipt(content=content, place=form.place, path=tuple(form.path), signed=signed)


def to_qr(receipt: Receipt) -> str:
    """The text of the QR code."""
    signed = receipt.signed
    head = _HEAD.pack(
        signed.header.packed(),
        bytes.fromhex(signed.key_id),
        signed.signature,
        receipt.place,
        len(receipt.path),
    )
    return QR_PREFIX + base45.encode(head + b"".join(receipt.path) + receipt.content)


def from_qr(text: str) -> Receipt:
    """Raises BadReceipt."""
    try:
        packed = base45.decode(text.removeprefix(QR_PREFIX))
        header, key, signature, place, steps = _HEAD.unpack_from(packed)
        begins = _HEAD.size + steps * HASH_BYTES
        content = packed[begins:]
        found = [packed[i : i + HASH_BYTES] for i in range(_HEAD.size, begins, HASH_BYTES)]
        leaves.read_back(Log.TRANSFERS, content)
        signed = SignedHeader(header=Header.unpack(header), key_id=key.hex(), signature=signature)
    except (ValueError, struct.error) as error:
        raise BadReceipt(f"the code is cut short or mangled: {error}") from None
    return Receipt(content=content, place=place, path=tuple(found), signed=signed)


def _told(value: leaves.Value) -> str | int | None:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return moment_text(value)
    return value


def _read(name: str, value: str | int | None) -> leaves.Value:
    kind = FIELDS[Log.TRANSFERS].get(name)
    if kind is None:
        raise ValueError(f"{name} is no field of an entry")
    match kind, value:
        case Kind.UUID, str():
            return UUID(value)
        case Kind.MOMENT, str():
            return read_moment(value)
    return value
