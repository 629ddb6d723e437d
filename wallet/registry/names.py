"""Personal names as people and spreadsheets write them, made comparable.

Promise: text that looks the same to a Khmer or Latin reader compares the same, whatever the
keyboard, the invisible characters or the code point order behind it. Pure. Owns no table.
Who calls: holders (which shows these to other rooms).
"""

import re
import unicodedata
from typing import Final

_INVISIBLE: Final = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad\u17b4\u17b5]")
"""Zero-width spaces and joiners, soft hyphen, and Khmer's two inherent vowels (never drawn)."""

_SPACES: Final = re.compile(r"\s+")

_CLUSTER: Final = re.compile("([\u1780-\u17b3])((?:\u17d2[\u1780-\u17b3]|[\u17b6-\u17d1\u17dd])+)")
"""A Khmer base letter and what hangs on it: subscripts (COENG + letter), vowels, signs."""

_PART: Final = re.compile("\u17d2[\u1780-\u17b3]|[\u17b6-\u17d1\u17dd]")

_SPLIT_VOWELS: Final = (("\u17c1\u17b8", "\u17be"), ("\u17c1\u17b6", "\u17c4"))
"""Vowels typed as the two halves that look like them."""

_SUBSCRIPT_DA: Final = "\u17d2\u178a"
_SUBSCRIPT_TA: Final = "\u17d2\u178f"


def normalise_name(text: str) -> str:
    """A name as it is kept: NFC, nothing invisible, single spaces.

    Refuses: nothing; a name of nothing but spaces becomes "".
    """
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    return _SPACES.sub(" ", visible).strip()


def same_name(a: str, b: str) -> bool:
    """Whether two writings are one name to a reader.

    Case is ignored in Latin; in Khmer the order in which a syllable's marks were typed, and the
    subscript letters DA and TA, which are drawn alike.
    """
    return _comparable(a) == _comparable(b)


def _comparable(text: str) -> str:
    plain = normalise_name(text).casefold()
    return _CLUSTER.sub(_in_order, plain)


def _in_order(cluster: re.Match[str]) -> str:
    parts = [p.replace(_SUBSCRIPT_DA, _SUBSCRIPT_TA) for p in _PART.findall(cluster.group(2))]
    marks = "".join(sorted(parts, key=_rank))
    for halves, whole in _SPLIT_VOWELS:
        marks = marks.replace(halves, whole)
    return cluster.group(1) + marks


def _rank(part: str) -> tuple[int, str]:
    """Where a mark stands in its syllable: subscripts (RO last), shifters, vowels, signs."""
    if part.startswith("\u17d2"):
        return (1 if part[1] == "\u179a" else 0, "")
    if part in "\u17c9\u17ca\u17cc":
        return (2, part)
    if "\u17b6" <= part <= "\u17c5":
        return (3, part if part != "\u17c1" else "")
    return (4, part)
