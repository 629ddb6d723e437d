"""Check values against public vectors, and against psec where psec is right."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet.cards import check_values
from wallet.cards.check_values import CVV2, CheckValueError
from wallet.identifiers import Secret, luhn_valid

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # psec imports TripleDES from where it has moved away
    import psec.cvv
    import psec.pin

FILE = Path(__file__).parents[1] / "vectors" / "card_vectors.json"
VECTORS = json.loads(FILE.read_text(encoding="utf-8"))["vectors"]


def of(kind: str) -> list[dict[str, Any]]:
    found = [one for one in VECTORS if one["kind"] == kind]
    assert found
    return found


def named(vector: dict[str, Any]) -> str:
    return str(vector["id"])


@pytest.mark.parametrize("vector", of("luhn"), ids=named)
def test_luhn(vector: dict[str, Any]) -> None:
    assert luhn_valid(vector["pan"]) is vector["valid"]


@pytest.mark.parametrize("vector", of("cvv"), ids=named)
def test_cvv(vector: dict[str, Any]) -> None:
    """cvv-07 among them: psec answers two digits there, "83"."""
    key = Secret(bytes.fromhex(vector["cvk"]))
    found = check_values.cvv(
        key, Secret(vector["pan"]), vector["expiry_field"], vector["service_code"]
    )
    assert found.reveal() == vector["cvv"]


@pytest.mark.parametrize("vector", of("pvv"), ids=named)
def test_pvv(vector: dict[str, Any]) -> None:
    key = Secret(bytes.fromhex(vector["pvk"]))
    found = check_values.pvv(key, int(vector["pvki"]), Secret(vector["pan"]), Secret(vector["pin"]))
    assert found.reveal() == vector["pvv"]


numbers = st.from_regex(r"[0-9]{12,19}", fullmatch=True).filter(str.isascii)
keys = st.binary(min_size=16, max_size=16).filter(lambda key: key[:8] != key[8:])


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(key=keys, number=numbers, expiry=st.from_regex(r"[0-9]{4}", fullmatch=True))
def test_psec_agrees_wherever_it_answers_three_digits(key: bytes, number: str, expiry: str) -> None:
    expiry = expiry if expiry.isascii() else "3212"
    own = check_values.cvv(Secret(key), Secret(number), expiry, CVV2).reveal()
    assert len(own) == 3
    assert own.isdigit()
    assert own.startswith(psec.cvv.generate_cvv(key, number, expiry, CVV2))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=100, deadline=None)
@given(key=keys, number=numbers, pin=st.integers(0, 9999), index=st.integers(0, 9))
def test_psec_agrees_on_pvv(key: bytes, number: str, pin: int, index: int) -> None:
    code = f"{pin:04d}"
    own = check_values.pvv(Secret(key), index, Secret(number), Secret(code)).reveal()
    assert own == psec.pin.generate_visa_pvv(key, str(index), code, number)


@pytest.mark.parametrize(
    ("key", "number", "expiry", "code"),
    [
        (b"\1" * 8, "4" * 16, "3212", "000"),
        (b"\1" * 24, "4" * 16, "3212", "000"),
        (b"\1" * 16, "4" * 11, "3212", "000"),
        (b"\1" * 16, "4" * 20, "3212", "000"),
        (b"\1" * 16, "4" * 15 + "a", "3212", "000"),
        (b"\1" * 16, "៤" * 16, "3212", "000"),
        (b"\1" * 16, "4" * 16, "321", "000"),
        (b"\1" * 16, "4" * 16, "3212", "00"),
        (b"\1" * 16, "4" * 16, "12/32", "000"),
    ],
)
def test_a_wrong_shape_is_named_and_never_shown(
    key: bytes, number: str, expiry: str, code: str
) -> None:
    with pytest.raises(CheckValueError) as caught:
        check_values.cvv(Secret(key), Secret(number), expiry, code)
    assert number not in str(caught.value)
    assert key.hex() not in str(caught.value)


@pytest.mark.parametrize("pin", ["123", "12a4", "", "1" * 13, "១២៣៤"])
def test_psec_puts_a_wrong_pin_into_its_message_and_this_does_not(pin: str) -> None:
    with pytest.raises(CheckValueError) as caught:
        check_values.pvv(Secret(b"\1" * 16), 1, Secret("4" * 16), Secret(pin))
    assert not pin or pin not in str(caught.value)
