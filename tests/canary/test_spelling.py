"""The search of the canary: it finds a secret in every spelling it claims to know, and no other."""

import base64
import os
from collections.abc import Callable

import pytest

from tests.canary.spelling import CHECK_VALUE, Place, Secrets, stands

PAN = "9116010000000018"
PIN = "739164"
TOKEN = base64.urlsafe_b64encode(bytes(range(200, 232))).rstrip(b"=").decode()

SPELT: list[Callable[[bytes], bytes]] = [
    lambda raw: raw,
    lambda raw: raw.hex().encode(),
    lambda raw: raw.hex().upper().encode(),
    lambda raw: base64.b64encode(raw),
    lambda raw: base64.urlsafe_b64encode(b"\xfb" + raw + b"\xff"),
    lambda raw: base64.b64encode(b"{'" + raw + b"'}"),
    lambda raw: b"\\x" + (b"[1, " + raw + b"]").hex().encode(),
]


@pytest.mark.parametrize("secret", [PAN, PIN, TOKEN, "the mekong turns", bytes(range(77, 97))])
@pytest.mark.parametrize("spell", SPELT)
def test_a_secret_is_found_in_every_spelling(
    secret: str | bytes, spell: Callable[[bytes], bytes]
) -> None:
    raw = secret.encode() if isinstance(secret, str) else secret
    text = b"before: '" + spell(raw) + b"', after"
    assert stands("any", secret, Place("here", text))
    assert not stands("any", secret, Place("here", b"before: '', after"))


@pytest.mark.parametrize(
    "written",
    [b"9116 0100 0000 0018", b"9116-0100-0000-0018", bytes.fromhex(PAN), b"x9116010000000018y"],
)
def test_a_card_number_is_found_set_apart_and_packed(written: bytes) -> None:
    assert stands("card number", PAN, Place("here", b"<" + written + b">"))


def test_a_passphrase_is_found_in_an_address() -> None:
    for written in (b"?q=the%20mekong%20turns", b"?q=the+mekong+turns"):
        assert stands("passphrase", "the mekong turns", Place("here", written))


def test_a_short_code_counts_where_it_stands_alone() -> None:
    for written in (b"pin 739164.", b'{"x":"739164"}', b"otp=739164&", b"739 164"):
        assert stands("PIN", PIN, Place("here", written)), written
    for chance in (
        b"a739164f",
        b"17391640",
        b"2026-01-12T02:00:00.739164Z",
        b'1768183200.739164 [0 lua] "TIME"',
        b"01920000-0000-7000-8000-739164000000",
    ):
        assert not stands("PIN", PIN, Place("here", chance)), chance


def test_a_check_value_counts_as_a_text_of_its_own_or_beside_its_name() -> None:
    for written in (b'{"a":"045"}', b"cvv=045", b"CVV2: '045'", b"check_value\t045\n"):
        assert stands(CHECK_VALUE, "045", Place("here", written)), written
    for chance in (b"answered 045 times", b"[1045]", b"cvv=0451"):
        assert not stands(CHECK_VALUE, "045", Place("here", chance)), chance
    document = b'{"200": {}, "cvv": "045"}'
    assert not stands(CHECK_VALUE, "200", Place("here", document, document))
    assert stands(CHECK_VALUE, "045", Place("here", document, b'{"200": {}}'))


def test_what_is_told_of_a_find_is_its_kind() -> None:
    secrets = Secrets()
    for _ in range(50):
        secrets.learn("session token", base64.urlsafe_b64encode(os.urandom(32)).decode())
    secrets.learn("PIN", PIN)
    assert secrets.found_in(Place("here", b"x" * 5_000)) == set()
    assert secrets.found_in(Place("here", b"739164")) == {"PIN"}
