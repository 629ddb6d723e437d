"""What people type becomes E.164 or is refused; the prefix proposes, nothing more."""

import pytest

from wallet.money import Currency, Money
from wallet.outcomes import Reason, Refused
from wallet.topups.numbers import (
    OPERATORS,
    PREFIXES,
    Msisdn,
    grouped,
    masked_number,
    propose_operator,
    read_number,
)
from wallet.topups.products import CATALOGUE, choose, delivered, products_of


@pytest.mark.parametrize(
    "typed",
    [
        "012345678",
        "012 345 678",
        " 012-345-678 ",
        "+855 12 345 678",
        "85512345678",
        "+855 0 12 345 678",
        "00185512345678",
        "០១២៣៤៥៦៧៨",
        "០១២ ៣៤៥\u200b ៦៧៨",
        "(012) 345.678",
    ],
)
def test_the_ways_people_write_a_number_are_one_number(typed: str) -> None:
    assert read_number(typed) == "+85512345678"


@pytest.mark.parametrize(
    ("typed", "national"),
    [
        ("0971234567", "+855971234567"),
        ("097123456", "+85597123456"),
        ("0123456789", "+855123456789"),
        ("0381234567", "+855381234567"),
    ],
)
def test_eight_and_nine_digits_are_told_apart_by_block(typed: str, national: str) -> None:
    assert read_number(typed) == national


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "abc",
        "012 CALL ME",
        "031 234 567",
        "096 123 456",
        "011 234 5678",
        "012 345 67",
        "023 456 789",
        "+66 81 234 5678",
        "012345678x12",
        "012;345678",
        "٠١٢٣٤٥٦٧٨",
        "０１２３４５６７８",
        "0" * 33,
    ],
)
def test_what_is_no_cambodian_mobile_number_is_refused(typed: str) -> None:
    with pytest.raises(Refused) as refused:
        read_number(typed)
    assert refused.value.reason is Reason.PHONE_INVALID


def test_every_block_is_one_operators_and_proposes_it() -> None:
    blocks = [block for given in PREFIXES.values() for block in given.split()]
    assert len(blocks) == len(set(blocks))
    for operator, given in PREFIXES.items():
        assert operator in OPERATORS
        assert {propose_operator(Msisdn(f"+855{b}234567")) for b in given.split()} == {operator}


@pytest.mark.parametrize("block", ["19", "91", "94"])
def test_valid_numbers_without_an_owner_propose_nobody(block: str) -> None:
    assert propose_operator(read_number(f"0{block} 234 567")) is None


def test_a_number_is_shown_in_groups_and_masked_in_the_middle() -> None:
    assert grouped(Msisdn("+85510234567")) == "010 234 567"
    assert masked_number(Msisdn("+855971234567")) == "097 ••• 4567"


def test_every_product_delivers_whole_cents_at_every_price_it_offers() -> None:
    for product in CATALOGUE:
        for minor in product.buttons_minor:
            price = Money(minor, product.currency)
            assert product.sells(price)
            assert delivered(price).currency is Currency.USD


@pytest.mark.parametrize(("riel", "cents"), [(5_000, 125), (10_000, 250), (20_000, 500)])
def test_riel_buys_airtime_at_four_thousand_to_the_dollar(riel: int, cents: int) -> None:
    assert delivered(Money.khr(riel)) == Money.usd(cents)
    with pytest.raises(ValueError, match="whole"):
        delivered(Money.khr(riel + 1))


def test_the_price_finds_the_product() -> None:
    assert choose("SMART", None, Money.khr(10_000)).code == "SMART-KHR-10000"
    assert choose("SMART", None, Money.usd(1_234)).code == "SMART-USD"
    assert choose("SMART", "SMART-USD", Money.usd(100)).code == "SMART-USD"
    assert products_of("QB") == ()
