"""Names: what looks the same to a reader is the same, however it was typed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.registry.holders import normalise_name, same_name

ZWSP, ZWNJ, ZWJ, BOM = "\u200b", "\u200c", "\u200d", "\ufeff"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (f"សុខ{ZWSP} តារា", "សុខ តារា"),
        (f"{BOM}កែវ{ZWNJ}បុប្ផា{ZWJ}", "កែវបុប្ផា"),
        ("  SOK \t  DARA\n", "SOK DARA"),
        ("SOK\u00a0DARA", "SOK DARA"),
        ("Jose\u0301", "José"),
        (f" {ZWSP} ", ""),
    ],
)
def test_a_name_is_kept_without_what_nobody_sees(written: str, kept: str) -> None:
    assert normalise_name(written) == kept


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("sok dara", "SOK DARA"),
        (f"សុខ{ZWSP}តារា", "សុខតារា"),
        # the subscript typed after the vowel
        ("ស\u17d2រ\u17b8", "ស\u17b8\u17d2រ"),
        # the sign typed before the vowel
        ("ម\u17bb\u17c6", "ម\u17c6\u17bb"),
        # the shifter typed after the vowel
        ("ញ\u17c9\u17c2ម", "ញ\u17c2\u17c9ម"),
        # vowels typed as their two halves
        ("ធ\u17beន", "ធ\u17c1\u17b8ន"),
        ("ស\u17c4ម", "ស\u17c1\u17b6ម"),
        # subscripts DA and TA are drawn alike
        ("បណ\u17d2តុះ", "បណ\u17d2ដុះ"),
        # a subscript RO typed before another subscript
        ("ស\u17d2ត\u17d2រ\u17b8", "ស\u17d2រ\u17d2ត\u17b8"),
    ],
)
def test_the_same_to_a_reader_is_the_same(a: str, b: str) -> None:
    assert same_name(a, b)
    assert same_name(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("SOK DARA", "SOK DARO"),
        ("SOK DARA", "DARA SOK"),
        ("សុខ តារា", "សុខ តារី"),
        ("ក\u17d2ត", "ក\u17d2រ"),
        ("កត", "ក\u17d2ត"),
        ("ដា", "តា"),
        ("", "ក"),
    ],
)
def test_different_people_stay_different(a: str, b: str) -> None:
    assert not same_name(a, b)


_names = st.text(
    st.sampled_from(f"កតរសម\u17d2\u17b6\u17b8\u17bb\u17c1\u17c6\u17c9 aé{ZWSP}"), max_size=20
)


@given(_names)
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise_name(text)

    assert normalise_name(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert same_name(text, once)
