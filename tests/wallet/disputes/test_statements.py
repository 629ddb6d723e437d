"""Card numbers leave only their last four; other numbers stay."""

import pytest

from wallet.disputes.statements import without_card_numbers

CARD = "9116010000000001"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (CARD, "•••• 0001"),
        (f"card {CARD}.", "card •••• 0001."),
        ("9116 0100 0000 0001", "•••• 0001"),
        ("9116-0100-0000-0001 and 9116010000000001", "•••• 0001 and •••• 0001"),
        # Another number right beside it does not hide it.
        (f"order 12 {CARD} 7", "order 12 •••• 0001 7"),
        ("៩១១៦ ០១០០ ០០០០ ០០០១", "•••• 0001"),
        ("9116\u200b0100\u200b0000\u200b0001", "•••• 0001"),
        ("012 345 678", "012 345 678"),
        ("RRN 123456789012 on 2026-01-12", "RRN 123456789012 on 2026-01-12"),
        ("9116010000000002", "9116010000000002"),
        ("1" * 25, "1" * 25),
        ("", ""),
    ],
)
def test_what_is_kept_of_what_is_written(written: str, kept: str) -> None:
    assert without_card_numbers(written) == kept
