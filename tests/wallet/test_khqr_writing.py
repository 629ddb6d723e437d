"""KHQR: what we write, to the byte, and how names out of codes are shown.

The cases are outputs of the National Bank's own SDK; the faults are those of its ports.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.khqr import (
    Draft,
    Form,
    Initiation,
    Khqr,
    SdkError,
    amount_text,
    encode,
    md5,
    mixes_alphabets,
    read,
    shown,
    skeleton,
    write,
)
from wallet.money import Currency

CASES = json.loads(
    (Path(__file__).parent / "vectors" / "khqr_generate_cases.json").read_text("utf-8"),
    parse_float=Decimal,
)
NOW = 1_767_225_600_000
SOON = NOW + 600_000


def accepted(text: str, now_ms: int = NOW) -> Khqr:
    code = read(text, now_ms)
    assert isinstance(code, Khqr), code
    return code


# --- writing: the SDK's own cases


def draft(**changed: Any) -> Draft:
    sound: dict[str, Any] = {
        "form": Form.INDIVIDUAL,
        "account": "sokha_chan@aclb",
        "name": "Sokha Chan",
        "city": "Phnom Penh",
        "amount": "15000",
        "expires_ms": SOON,
    }
    return Draft(**(sound | changed))


def written(wanted: Draft) -> str:
    text = write(wanted, NOW)
    assert isinstance(text, str), text
    return text


OPTIONAL_NAMES = {
    "acquiringBank": "bank",
    "accountInformation": "detail",
    "upiMerchantAccount": "union_pay",
    "expirationTimestamp": "expires_ms",
    "billNumber": "bill",
    "mobileNumber": "mobile",
    "storeLabel": "store",
    "terminalLabel": "terminal",
    "purposeOfTransaction": "purpose",
    "languagePreference": "language",
    "merchantNameAlternateLanguage": "other_name",
    "merchantCityAlternateLanguage": "other_city",
    "merchantCategoryCode": "category",
}


def drafted(case: dict[str, Any]) -> Draft:
    given_, optional = case["input"], case["input"]["optional"]
    return Draft(
        form=Form.MERCHANT if case["type"] == "merchant" else Form.INDIVIDUAL,
        account=given_["bakongAccountID"],
        name=given_["merchantName"],
        city=given_["merchantCity"],
        currency=str(optional.get("currency", 116)),
        amount=str(optional["amount"]) if "amount" in optional else None,
        **{"detail": given_.get("merchantID"), "bank": given_.get("acquiringBank")}
        | {ours: optional[name] for name, ours in OPTIONAL_NAMES.items() if name in optional},
    )


READER_ONLY = 'amount as string "10.0"'  # writing from whole cents never produces `10.00`


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"])
def test_we_write_to_the_byte_what_the_sdk_writes_or_refuse_with_its_code(
    case: dict[str, Any],
) -> None:
    answer = write(drafted(case), case["now_ms"])
    if case["error_code"] is not None:
        assert answer == case["error_code"]
    elif case["label"] == READER_ONLY:
        assert accepted(case["payload"], case["now_ms"]).amount_minor == 1000
    else:
        assert answer == case["payload"]
        assert isinstance(answer, str)
        assert md5(answer) == case["md5"]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"account": ""}, 1),
        ({"name": ""}, 2),
        ({"account": "a" * 28 + "@aclb"}, 6),
        ({"store": "S" * 26}, 11),
        ({"terminal": "T" * 26}, 12),
        ({"category": "54111"}, 18),
        ({"city": "C" * 16}, 21),
        ({"form": Form.MERCHANT, "bank": "Canadia Bank"}, 30),
        ({"form": Form.MERCHANT, "detail": "1" * 33, "bank": "Canadia Bank"}, 32),
        ({"bank": "B" * 33}, 33),
        ({"mobile": "0" * 26}, 34),
        ({"detail": "1" * 33}, 35),
        ({"other_name": "ហាង"}, 37),
        ({"language": "khm", "other_name": "ហាង"}, 38),
        ({"language": "km"}, 39),
        ({"language": "km", "other_name": "ហ" * 26}, 40),
        ({"language": "km", "other_name": "ហាង", "other_city": "ភ" * 16}, 41),
        ({"purpose": "P" * 26}, 42),
        ({"union_pay": "1" * 100}, 43),
        ({"expires_ms": NOW - 1}, 50),
        ({"category": "abcd"}, 51),
    ],
)
def test_every_other_refusal_names_the_sdk_s_code(changed: dict[str, Any], error: int) -> None:
    assert write(draft(**changed), NOW) == error


# --- faults the ports have


def test_an_individual_and_a_merchant_code_are_both_written() -> None:
    assert accepted(written(draft())).form is Form.INDIVIDUAL
    merchant = draft(form=Form.MERCHANT, detail="0120000123", bank="Canadia Bank")
    assert accepted(written(merchant)).form is Form.MERCHANT


def test_an_expiry_may_be_minutes_away_not_only_days() -> None:
    assert accepted(written(draft(expires_ms=NOW + 60_000))).expires_ms == NOW + 60_000


@pytest.mark.parametrize(
    ("currency", "amount"),
    [
        ("840", "1.005"),
        ("116", "100.5"),
        ("116", "nan"),
        ("840", "-1"),
        ("840", "1e3"),
        ("840", "abc"),
    ],
)
def test_nothing_is_rounded_and_a_bad_amount_never_turns_a_code_static(
    currency: str, amount: str
) -> None:
    assert write(draft(currency=currency, amount=amount), NOW) is SdkError.AMOUNT_INVALID


def test_a_template_that_would_need_a_three_digit_length_is_not_written() -> None:
    full = dict.fromkeys(("bill", "mobile", "store", "terminal", "purpose"), "X" * 25)
    assert write(draft(**full), NOW) is SdkError.KHQR_INVALID


def test_lengths_count_characters_not_bytes() -> None:
    assert "5909ចាន់ សុខា" in written(draft(name="ចាន់ សុខា"))


def test_a_long_name_is_refused_not_cut() -> None:
    assert write(draft(name="N" * 26), NOW) is SdkError.NAME_LENGTH


def test_an_account_without_an_at_sign_is_not_written() -> None:
    assert write(draft(account="sokha_chan"), NOW) is SdkError.ACCOUNT_INVALID


def test_an_amount_without_expiry_is_not_written() -> None:
    assert write(draft(expires_ms=None), NOW) is SdkError.EXPIRY_REQUIRED


def test_the_union_pay_account_stands_before_the_currency_and_never_with_dollars() -> None:
    text = written(draft(union_pay="0001034400010344ABCDEFGHIJKLMNO"))
    assert text.index("1531") < text.index("2919") < text.index("5303116")
    dollars = draft(union_pay="0001034400010344ABCDEFGHIJKLMNO", currency="840")
    assert write(dollars, NOW) is SdkError.UNION_PAY_WITH_USD


@pytest.mark.parametrize(
    ("currency", "minor", "text"),
    [("840", 150, "1.50"), ("840", 100, "1"), ("840", 1, "0.01"), ("116", 15000, "15000")],
)
def test_dollars_have_none_or_two_decimals_and_riel_none(
    currency: str, minor: int, text: str
) -> None:
    kind = Currency.from_numeric(currency)
    assert kind is not None
    assert amount_text(minor, kind) == text
    sent = draft(currency=currency, amount=amount_text(minor, kind))
    assert f"54{len(text):02d}{text}5802KH" in written(sent)


def test_the_checksum_element_carries_its_length() -> None:
    assert written(draft())[-8:-4] == "6304"


def test_an_unpayable_control_character_is_not_written_either() -> None:
    assert write(draft(name="Sokha\u0007"), NOW) is SdkError.KHQR_INVALID


# --- there and back


ANY_LETTER = st.characters(
    max_codepoint=0xFFFF, exclude_categories=["Cs", "Cc"], exclude_characters="\x7f"
)


def texts(longest: int) -> st.SearchStrategy[str]:
    return st.text(ANY_LETTER, min_size=1, max_size=longest)


def perhaps(longest: int) -> st.SearchStrategy[str | None]:
    return st.none() | texts(longest)


@st.composite
def codes(draw: st.DrawFn) -> Khqr:
    form = draw(st.sampled_from(Form))
    currency = draw(st.sampled_from(Currency))
    amount = draw(st.none() | st.integers(1, 10**10))
    created = draw(st.none() | st.integers(0, NOW))
    expires = draw(st.integers(NOW, 10**13 - 1))
    language = draw(perhaps(2))
    initiations = [None, Initiation.STATIC] + ([Initiation.DYNAMIC] if amount else [])
    return Khqr(
        form=form,
        account=draw(st.from_regex(r"[a-z0-9_]{1,20}@[A-Za-z0-9._-]{1,8}", fullmatch=True)),
        detail=draw(texts(25) if form is Form.MERCHANT else perhaps(25)),
        bank=draw(perhaps(20)),
        category=draw(st.from_regex(r"[0-9]{4}", fullmatch=True)),
        currency=currency,
        amount_minor=amount,
        name=draw(texts(25)),
        city=draw(texts(15)),
        initiation=draw(st.sampled_from(initiations)),
        union_pay=draw(perhaps(99)),
        bill=draw(perhaps(15)),
        mobile=draw(perhaps(15)),
        store=draw(perhaps(15)),
        terminal=draw(perhaps(15)),
        purpose=draw(perhaps(15)),
        language=language,
        other_name=draw(texts(25)) if language else None,
        other_city=draw(perhaps(15)),
        created_ms=created,
        expires_ms=expires if amount else draw(st.none() | st.integers(0, 10**13 - 1)),
    )


@given(codes())
def test_struct_to_text_to_struct_is_the_identity(code: Khqr) -> None:
    assert read(encode(code), NOW) == code


@given(texts(30), texts(30), perhaps(30), perhaps(40), st.none() | st.from_regex(r"[0-9.]{1,9}"))
def test_whatever_is_written_is_read_back_or_refused(
    name: str, city: str, bill: str | None, bank: str | None, amount: str | None
) -> None:
    text = write(draft(name=name, city=city, bill=bill, bank=bank, amount=amount), NOW)
    if isinstance(text, str):
        code = accepted(text)
        assert (code.name, code.city, code.bill, code.bank) == (name, city, bill, bank)


# --- showing names


def test_a_shown_name_hides_nothing_and_reorders_nothing() -> None:
    assert shown("Sokha\u202e nahC") == "Sokha nahC"
    assert shown("So\u200bkha\ufeff\u2066") == "Sokha"
    assert shown("ចាន់\u200bសុខា") == "ចាន់សុខា"
    assert shown("Sokha Chan") == "Sokha Chan"
    assert shown("سوق") == "\u2068سوق\u2069"


@pytest.mark.parametrize(
    ("honest", "other"),
    [
        ("Lucky Market", "Luсkу Mаrkеt"),  # Cyrillic letters
        ("Lucky Market", "LUCKY  MARKET"),
        ("Lucky Market", "Luc\u200bky Market"),
        ("BELTEI", "BE1TEl"),
        ("កញ្ចប់ ស្តើង", "កញ្ចប់ ស្ដើង"),  # subscript da drawn as subscript ta
    ],
)
def test_names_easily_taken_for_each_other_have_one_skeleton(honest: str, other: str) -> None:
    assert skeleton(honest) == skeleton(other)


def test_different_names_have_different_skeletons() -> None:
    assert skeleton("Lucky Market") != skeleton("Lucky Mart")
    assert skeleton("ហាងកាហ្វេ") != skeleton("ហាងបាយ")


def test_latin_mixed_with_cyrillic_is_noticed_and_khmer_with_latin_is_not() -> None:
    assert mixes_alphabets("ACLEDА")
    assert not mixes_alphabets("ACLEDA ធនាគារ")
    assert not mixes_alphabets("សុខា")


@given(st.text(max_size=40))
def test_showing_and_comparing_names_never_raises(name: str) -> None:
    assert isinstance(shown(name) + skeleton(name), str)
    assert isinstance(mixes_alphabets(name), bool)
