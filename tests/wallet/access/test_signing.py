"""The bytes that are signed: one encoding, no bit of which may change."""

import hashlib
from datetime import UTC, datetime
from uuid import UUID

import pytest

from simulators.phone_keys import DeviceKey, laid_out, unbase64url
from wallet.access.signing import canonical, point, signed_by, transaction
from wallet.access.signing import unbase64url as strictly
from wallet.money import Money
from wallet.outcomes import Refused

BYTES = transaction(
    intent_id=UUID(int=1),
    kind="qr.pay",
    holder_id=UUID(int=2),
    device_id=UUID(int=3),
    money=Money.khr(5_000),
    payee="khqr@aclb",
    text_en="Pay 5,000 KHR.",
    text_km="បង់ ៥,០០០ រៀល។",
    nonce=bytes(range(32)),
    expires_at=datetime(2026, 1, 12, 2, 2, tzinfo=UTC),
)


def test_the_encoding_is_the_contracts() -> None:
    text = "Pay 5,000 KHR.\nបង់ ៥,០០០ រៀល។".encode()
    expected = laid_out(
        "cswallet.tx.v1",
        "00000000-0000-0000-0000-000000000001",
        "qr.pay",
        "00000000-0000-0000-0000-000000000002",
        "00000000-0000-0000-0000-000000000003",
        "5000",
        "KHR",
        "khqr@aclb",
        hashlib.sha256(text).digest(),
        bytes(range(32)),
        "1768183320",
    )
    assert expected == BYTES


def test_parts_cannot_flow_into_each_other() -> None:
    assert canonical(("ab", "c")) != canonical(("a", "bc"))
    assert canonical(("", "a")) != canonical(("a", ""))


def test_each_bit_of_the_signed_bytes_counts() -> None:
    key = DeviceKey.fresh()
    public, signature = unbase64url(key.public), unbase64url(key.sign(BYTES))
    assert signed_by(public, signature, hashlib.sha256(BYTES).digest())
    for bit in range(len(BYTES) * 8):
        changed = bytearray(BYTES)
        changed[bit // 8] ^= 1 << (bit % 8)
        assert not signed_by(public, signature, hashlib.sha256(changed).digest())


def test_a_signature_for_another_purpose_is_none() -> None:
    key = DeviceKey.fresh()
    login = laid_out("cswallet.login.v1", bytes(32), str(UUID(int=3)), "wallet.smartid.test")
    assert not signed_by(
        unbase64url(key.public), unbase64url(key.sign(login)), hashlib.sha256(BYTES).digest()
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "BA",
        "A" * 87,
        # compressed, at infinity, off the curve, with padding, with other letters
        "AmsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW",
        "AA",
        "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_Uf"
        + "U=",
        "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfQ",
        "B" + "+" * 86,
    ],
)
def test_a_key_that_is_none_is_not_taken(wrong: str) -> None:
    with pytest.raises(Refused):
        point(wrong)


def test_bytes_on_the_wire_have_one_spelling() -> None:
    assert strictly("AQ", field="x") == b"\x01"
    for other in ("AR", "AQ==", "AQ=", "A Q", "AQ\n", "+/8", "Ａ"):
        with pytest.raises(Refused):
            strictly(other, field="x")
