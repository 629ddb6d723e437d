"""What holders and agents write: kept without card numbers.

Promise: pure; any 13 to 19 digits with a right Luhn digit, however grouped and in whichever
script's digits, leave only their last four; everything else stays as written. Who calls: cases,
refunds, closing.
"""

import re
from typing import Final

from wallet.identifiers import luhn_valid, masked

SHORTEST_CARD: Final = 13
LONGEST_CARD: Final = 19

_GROUPS_OF_DIGITS: Final = re.compile(r"\d+(?:[ \-\u00a0\u200b]\d+)*")
_GROUP: Final = re.compile(r"(\d+)")


def without_card_numbers(text: str) -> str:
    """The text with every card number in it masked."""
    return _GROUPS_OF_DIGITS.sub(lambda found: _without(found.group()), text)


def _without(digits: str) -> str:
    """Masks the longest run of whole groups that is a card number, then the next."""
    # Odd places are groups of digits, even ones what stands between them.
    parts = _GROUP.split(digits)
    start = 1
    while start < len(parts):
        end = _end_of_card(parts, start)
        if end is None:
            start += 2
        else:
            parts[start : end + 1] = [masked(_ascii(parts[start : end + 1 : 2]))]
            start += 2
    return "".join(parts)


def _end_of_card(parts: list[str], start: int) -> int | None:
    for end in range(len(parts) - 2, start - 1, -2):
        number = _ascii(parts[start : end + 1 : 2])
        if SHORTEST_CARD <= len(number) <= LONGEST_CARD and luhn_valid(number):
            return end
    return None


def _ascii(groups: list[str]) -> str:
    return "".join(str(int(digit)) for group in groups for digit in group)
