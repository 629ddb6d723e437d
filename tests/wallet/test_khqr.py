"""KHQR: what we read, what we write, and the faults of other implementations ours must not have.

The vectors were judged by running the National Bank's own SDK with a frozen clock; our reading is
stricter in the places the vectors mark.
"""

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.khqr import Fault, Khqr, md5, read
from wallet.khqr.code import checksum

VECTORS = json.loads((Path(__file__).parent / "vectors" / "khqr_vectors.json").read_text("utf-8"))
NOW = 1_767_225_600_000
SOON = NOW + 600_000

FIELD_NAMES = {
    "bakongAccountID": "account",
    "acquiringBank": "bank",
    "merchantCategoryCode": "category",
    "merchantName": "name",
    "merchantCity": "city",
    "unionPayMerchant": "union_pay",
    "billNumber": "bill",
    "mobileNumber": "mobile",
    "storeLabel": "store",
    "terminalLabel": "terminal",
    "purposeOfTransaction": "purpose",
    "languagePreference": "language",
    "merchantNameAlternateLanguage": "other_name",
    "merchantCityAlternateLanguage": "other_city",
}


def sealed(body: str) -> str:
    """A text with the right checksum, so that only what stands in it can be wrong."""
    return f"{body}6304{checksum(body + '6304')}"


def element(tag: str, value: str) -> str:
    return f"{tag}{len(value):02d}{value}"


def code_text(**changed: str | None) -> str:
    """A sound dynamic riel code with some elements replaced, or left out (None). t54="abc" etc."""
    elements: dict[str, str | None] = {
        "00": "01",
        "01": "12",
        "29": element("00", "sokha_chan@aclb"),
        "52": "5999",
        "53": "116",
        "54": "15000",
        "58": "KH",
        "59": "Sokha Chan",
        "60": "Phnom Penh",
        "99": element("00", str(NOW)) + element("01", str(SOON)),
    }
    elements |= {tag[1:]: value for tag, value in changed.items()}
    return sealed("".join(element(tag, v) for tag, v in elements.items() if v is not None))


def accepted(text: str, now_ms: int = NOW) -> Khqr:
    code = read(text, now_ms)
    assert isinstance(code, Khqr), code
    return code


# --- reading: the vectors


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_every_known_code_is_read_or_refused_as_recommended(vector: dict[str, Any]) -> None:
    code = read(vector["payload"], vector["at_ms"])
    assert isinstance(code, Khqr) is vector["recommended"]["accept"]
    if vector["md5"]:
        assert md5(vector["payload"]) == vector["md5"]


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if v["recommended"]["accept"]], ids=lambda vector: vector["id"]
)
def test_every_field_of_an_accepted_code_is_what_stands_in_it(vector: dict[str, Any]) -> None:
    code = accepted(vector["payload"], vector["at_ms"])
    fields = vector["fields"]
    for name, ours in FIELD_NAMES.items():
        assert getattr(code, ours) == fields.get(name), name
    assert code.form.value == fields["merchantType"]
    assert code.detail == fields.get("accountInformation", fields.get("merchantID"))
    assert code.currency.numeric == fields["transactionCurrency"]
    assert code.initiation == fields.get("pointofInitiationMethod")
    assert code.created_ms == _number(fields.get("creationTimestamp"))
    assert code.expires_ms == _number(fields.get("expirationTimestamp"))
    amount = fields.get("transactionAmount")
    exact = Decimal(amount) * 10**code.currency.exponent if amount else None
    assert code.amount_minor == exact


def _number(text: str | None) -> int | None:
    return int(text) if text else None


# --- reading: the rules, one by one


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.LENGTH),
        ("0" * 513, Fault.LENGTH),
        (code_text() + "\n", Fault.CHARSET),
        (code_text(t59="Sokha\x00"), Fault.CHARSET),
        (code_text(t59="Sokha \U0001f600"), Fault.CHARSET),
        ("00020101\ud800", Fault.CHARSET),
        (" " + code_text(), Fault.STRUCTURE),
        ("០០០២០១", Fault.STRUCTURE),
        (sealed("0００201"), Fault.STRUCTURE),
        (code_text(t52=""), Fault.EMPTY_VALUE),
        (code_text()[:-1], Fault.STRUCTURE),
        (code_text()[:-8], Fault.CHECKSUM),
        (code_text() + "7001a", Fault.CHECKSUM),
        (code_text(t00="02"), Fault.FORMAT),
        (code_text(t01="13"), Fault.INITIATION),
        (code_text(t58="TH"), Fault.FOREIGN),
        (code_text(t58="KHM"), Fault.FOREIGN),
        (code_text(t58=None), Fault.COUNTRY),
        (code_text(t29=None), Fault.ACCOUNT_TYPE),
        (code_text(t29=element("00", "sokha_chan")), Fault.ACCOUNT),
        (code_text(t29=element("00", "sokha chan@aclb")), Fault.ACCOUNT),
        (code_text(t29=element("00", "a" * 28 + "@aclb")), Fault.ACCOUNT),
        (code_text(t29=element("00", "a@b") + "0100"), Fault.ACCOUNT_DETAIL),
        (code_text(t29=element("00", "a@b") + element("00", "c@d")), Fault.DUPLICATE),
        (code_text(t29=None, t30=element("00", "khqr@aclb")), Fault.ACCOUNT_DETAIL),
        (code_text(t52="541"), Fault.CATEGORY),
        (code_text(t52="៥៤១១"), Fault.CATEGORY),
        (code_text(t53="764"), Fault.CURRENCY),
        (code_text(t53=None), Fault.CURRENCY),
        (code_text(t59=None), Fault.NAME),
        (code_text(t59="N" * 26), Fault.NAME),
        (code_text(t60="C" * 16), Fault.CITY),
        (code_text(t62=element("01", "B" * 26)), Fault.ADDITIONAL_DATA),
        (code_text(t62="0100"), Fault.ADDITIONAL_DATA),
        (code_text(t64=element("00", "km")), Fault.LANGUAGE),
        (code_text(t54="0"), Fault.AMOUNT),
        (code_text(t54="0.00"), Fault.AMOUNT),
        (code_text(t54="-5"), Fault.AMOUNT),
        (code_text(t54="១២៣"), Fault.AMOUNT),
        (code_text(t54="12345678901234"), Fault.AMOUNT),
        (code_text(t54="5000.5"), Fault.FRACTIONAL_RIEL),
        (code_text(t53="840", t54="1.005"), Fault.AMOUNT),
        (code_text(t54=None), Fault.AMOUNT_MISSING),
        (code_text(t99=None), Fault.EXPIRY_MISSING),
        (code_text(t99=element("00", str(NOW))), Fault.EXPIRY_MISSING),
        (code_text(t99=element("01", str(SOON // 1000))), Fault.EXPIRY_MISSING),
        (code_text(t99=element("00", str(SOON + 1)) + element("01", str(SOON))), Fault.EXPIRY),
    ],
)
def test_each_reading_rule_refuses_with_its_own_reason(text: str, fault: Fault) -> None:
    assert read(text, NOW) is fault


def test_the_last_millisecond_still_pays_and_the_next_does_not() -> None:
    assert isinstance(read(code_text(), SOON), Khqr)
    assert read(code_text(), SOON + 1) is Fault.EXPIRED


def test_a_static_code_may_carry_a_creation_time_alone_and_its_times_are_not_judged() -> None:
    code = accepted(code_text(t01="11", t54=None, t99=element("00", str(NOW))))
    assert (code.amount_minor, code.created_ms, code.expires_ms) == (None, NOW, None)
    old = element("00", "yesterday") + element("01", "1")
    assert accepted(code_text(t01="11", t54=None, t99=old)).expires_ms is None


def test_the_checksum_may_be_written_in_either_case() -> None:
    texts_ = (code_text(t54=str(n)) for n in range(1, 100))
    text = next(text for text in texts_ if not text[-4:].isdigit())
    assert accepted(text[:-4] + text[-4:].lower()) == accepted(text)


def test_a_foreign_code_is_called_foreign_though_it_lacks_all_else() -> None:
    thai = sealed("000201010211" + element("29", "0016A000000677010111") + "5303764" + "5802TH")
    assert read(thai, NOW) is Fault.FOREIGN


def test_a_khmer_name_with_zero_width_spaces_is_read_as_written() -> None:
    assert accepted(code_text(t59="ចាន់\u200bសុខា")).name == "ចាន់\u200bសុខា"


def test_an_older_writer_s_riel_with_zero_decimals_is_read_whole() -> None:
    assert accepted(code_text(t54="5000.0")).amount_minor == 5000


# --- faults other implementations have


def test_a_short_inner_length_ends_at_once_where_the_sdk_never_returns() -> None:
    started = time.perf_counter()
    assert read(code_text(t29="00"), NOW) is Fault.STRUCTURE
    assert read(code_text(t29="0015sok"), NOW) is Fault.STRUCTURE
    assert read(code_text(t99="001"), NOW) is Fault.STRUCTURE
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("amount", ["abc", "1,000", ".5", "1e3", " 5", "nan", "+5", "5_0"])
def test_an_amount_the_sdk_lets_through_that_is_no_plain_number_is_refused(amount: str) -> None:
    assert read(code_text(t53="840", t54=amount), NOW) is Fault.AMOUNT


def test_both_account_templates_at_once_are_refused() -> None:
    both = code_text(t30=element("00", "khqr@aclb") + element("01", "123"))
    assert read(both, NOW) is Fault.ACCOUNT_TYPE


def test_a_repeated_element_is_refused_not_overridden_by_the_last() -> None:
    again = sealed(code_text()[:-8] + element("54", "1"))
    assert read(again, NOW) is Fault.DUPLICATE


def test_two_at_signs_in_an_account_are_refused() -> None:
    assert read(code_text(t29=element("00", "a@b@c")), NOW) is Fault.ACCOUNT


def test_a_static_mark_with_an_amount_does_not_escape_the_expiry() -> None:
    assert read(code_text(t01="11"), SOON + 1) is Fault.EXPIRED
    assert accepted(code_text(t01="11")).amount_minor == 15000


@pytest.mark.parametrize("tag", ["t55", "t56", "t57"])
def test_a_code_asking_for_a_tip_or_fee_is_refused_for_we_would_underpay(tag: str) -> None:
    assert read(code_text(**{tag: "01"}), NOW) is Fault.TIP


def test_the_checksum_runs_over_utf8_bytes_so_khmer_codes_check_everywhere() -> None:
    khmer = code_text(t59="ចាន់ សុខា")
    assert accepted(khmer).name == "ចាន់ សុខា"
    by_low_byte = bytes(ord(c) & 0xFF for c in khmer[:-4]).decode("latin-1")
    by_utf16 = khmer[:-4].encode("utf-16-be").decode("latin-1")
    for wrong in (checksum(by_low_byte), checksum(by_utf16)):
        assert read(khmer[:-4] + wrong, NOW) is Fault.CHECKSUM


def test_lengths_count_characters_not_bytes() -> None:
    assert accepted(code_text(t59="ចាន់")).name == "ចាន់"
    in_bytes = code_text(t59="ចាន់")[:-8].replace("5904", "5912")
    assert isinstance(read(sealed(in_bytes), NOW), Fault)


# --- for every text there is


@given(st.text(max_size=600), st.integers(0, 2**45))
def test_no_text_raises(text: str, now_ms: int) -> None:
    assert isinstance(read(text, now_ms), Khqr | Fault)


@given(
    st.sampled_from([v["payload"] for v in VECTORS if v["payload"]]),
    st.data(),
)
def test_no_damaged_code_raises_even_with_its_checksum_put_right(
    payload: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(payload)))
    cut = data.draw(st.integers(0, 4))
    piece = data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=4))
    damaged = (payload[:at] + piece + payload[at + cut :])[:500]
    assert isinstance(read(damaged, NOW), Khqr | Fault)
    assert isinstance(read(sealed(damaged[:-8]), NOW), Khqr | Fault)
