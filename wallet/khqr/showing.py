"""Names as the maker of a code wrote them, made safe to put before a person.

Anyone can print a code that says anyone's name. The screen shows no character that hides or
reorders others, and the payment asks twice when a name looks like a known payee at another account.
"""

import re
import unicodedata
from typing import Final


def shown(text: str) -> str:
    """Text from a code, safe to put before a person: nothing invisible, nothing that reorders.

    Zero-width spaces are lawful in Khmer, so codes with them are read; on the screen they only
    make two names look alike. Right-to-left text is isolated, lest it swallow an amount.
    """
    seen = text if text.isascii() else _INVISIBLE.sub("", text)
    if not seen.isascii() and any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in seen):
        return f"\u2068{seen}\u2069"
    return seen


def skeleton(name: str) -> str:
    """What a hurried eye keeps of a name: equal skeletons are names easily taken for each other."""
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", name)).casefold()
    for spelling, same in _KHMER_TWINS:
        plain = plain.replace(spelling, same)
    return " ".join(plain.translate(_LOOKS_LIKE).split())


def mixes_alphabets(name: str) -> bool:
    """Whether Latin letters stand among Cyrillic or Greek ones, as in no honest Cambodian name."""
    alphabets = {unicodedata.name(c, "").split(" ")[0] for c in name if c.isalpha()}
    return "LATIN" in alphabets and bool(alphabets & {"CYRILLIC", "GREEK", "CHEROKEE", "ARMENIAN"})


# Invisible or reordering characters: bidirectional controls, zero-width ones, fillers.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]"
)
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
# Khmer spelt two ways and drawn as one: subscript da and ta, vowels typed in two parts.
_KHMER_TWINS: Final = (
    ("\u17d2\u178a", "\u17d2\u178f"),
    ("\u17c1\u17b8", "\u17be"),
    ("\u17c1\u17b6", "\u17c4"),
    ("\u17a3", "\u17a2"),
)
# After folding: Cyrillic, Greek and digits that pass for Latin letters; one l for I, l, 1 and |.
_LOOKS_LIKE: Final = str.maketrans(
    {
        **dict(zip("аеорсухіјѕһӏѵԛԝ", "aeopcyxljshlvqw", strict=True)),
        **dict(zip("αορτυνικχ", "aoptuvlkx", strict=True)),
        **dict(zip("01i|", "olll", strict=True)),
    }
)
