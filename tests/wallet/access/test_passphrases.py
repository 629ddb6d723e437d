"""Which passphrases are taken: length first, and not the first that come to mind."""

import pytest

from wallet.access.passphrases import decide_strength
from wallet.outcomes import Reason, Refused


@pytest.mark.parametrize(
    "passphrase",
    [
        "the mekong turns around in november",
        "bakalo-remiso-tunafe-pokine",
        "ទន្លេមេគង្គហូរបញ្ច្រាសនៅខែវិច្ឆិកា",
        "fifteen letters",
        "x7!pQ_zz9#kLm@3 ",
        "my password for wing is a long story",
    ],
)
def test_long_ones_of_ones_own_are_taken(passphrase: str) -> None:
    decide_strength(passphrase, login="dara.sok")


@pytest.mark.parametrize(
    ("passphrase", "why"),
    [
        ("fourteen chars", "short"),
        ("é" * 14, "short"),
        ("e\u0301" * 14, "short"),  # 28 code points as typed, 14 letters
        ("the mekong " * 12, "long"),
        ("correct horse battery staple", "known"),
        ("Correct-Horse-Battery-Staple-2026", "known"),
        ("p@55w0rdp@55w0rd", "known"),
        ("The Quick Brown Fox", "known"),
        ("aaaaaaaaaaaaaaaa", "repeats"),
        ("ababababababababab", "repeats"),
        ("mekong mekong mekong!", "repeats"),
        ("!!!!!!!!!!!!!!!!!!", "repeats"),
        ("123456789012345", "sequence"),
        ("987654321098765", "sequence"),
        ("abcdefghijklmnop", "sequence"),
        ("qwertyuiopasdfgh", "sequence"),
        ("dara.sok dara.sok x", "repeats"),
        ("Smart ID Wallet ACLEDA", "own_name"),
        ("dara.sok-password-2026", "own_name"),
    ],
)
def test_what_a_thief_tries_first_is_refused_with_its_reason(passphrase: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        decide_strength(passphrase, login="dara.sok")
    assert refused.value.reason is Reason.PASSPHRASE_WEAK
    assert refused.value.facts == {"why": why}
