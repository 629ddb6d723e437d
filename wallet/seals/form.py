"""A signed header as JSON: the same in receipts and in the file that is given outside.

Promise: pure; what is read back has the very bytes that were signed, or is refused. Who calls:
receipt, anchor.
"""

import struct
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct

from wallet.seals.chain import Header, SignedHeader
from wallet.seals.leaves import Log

_HASH = "q83v" * 10 + "q80="


class SealForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hashes and the signature are base64; the moment is UTC with microseconds."""

    number: Annotated[int, Meta(examples=[4711])]
    previous: Annotated[bytes, Meta(examples=[_HASH])]
    log: Annotated[int, Meta(description="1: transfers, 2: audit", examples=[1])]
    position: Annotated[int, Meta(examples=[1_204_224])]
    entries: Annotated[int, Meta(examples=[1024])]
    last_xid: Annotated[int, Meta(examples=[88_213])]
    last_seq: Annotated[int, Meta(examples=[1_205_248])]
    root: Annotated[bytes, Meta(examples=[_HASH])]
    sealed_at: Annotated[str, Meta(examples=["2026-01-12T02:00:01.250000Z"])]
    key: Annotated[str, Meta(examples=["5f1e2d3c4b5a6978"])]
    signature: Annotated[bytes, Meta(examples=["a1B2" * 21 + "c3=="])]


def seal_form(signed: SignedHeader) -> SealForm:
    header = signed.header
    return SealForm(
        number=header.number,
        previous=header.previous,
        log=int(header.log),
        position=header.position,
        entries=header.entries,
        last_xid=header.last_xid,
        last_seq=header.last_seq,
        root=header.root,
        sealed_at=moment_text(header.sealed_at),
        key=signed.key_id,
        signature=signed.signature,
    )


def read_seal(form: SealForm) -> SignedHeader:
    """Raises ValueError when the form has no canonical bytes."""
    header = Header(
        number=form.number,
        previous=form.previous,
        log=Log(form.log),
        position=form.position,
        entries=form.entries,
        last_xid=form.last_xid,
        last_seq=form.last_seq,
        root=form.root,
        sealed_at=read_moment(form.sealed_at),
    )
    try:
        # Packed and read again: what does not fit its place would be cut without a word.
        if Header.unpack(header.packed()) != header:
            raise ValueError("the seal's fields do not fit their places")
    except struct.error as error:
        raise ValueError("the seal's fields do not fit their places") from error
    return SignedHeader(header=header, key_id=form.key, signature=form.signature)


def moment_text(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def read_moment(text: str) -> datetime:
    """Raises ValueError for anything but what `moment_text` writes."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or moment_text(moment) != text:
            raise ValueError
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]} is not a moment in UTC with microseconds") from None
    return moment
