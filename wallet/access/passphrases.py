"""Which passphrases staff may choose: long ones that are not the first a thief tries.

Promise: pure. 15 to 128 characters (NIST SP 800-63B-4 asks 15 of a password), none of those that
are on every list, nothing that repeats or counts up, nothing made of the login or of our own names.
No rule about kinds of characters: length is what helps. Who calls: staff.
"""

import re
import unicodedata
from typing import Final

from wallet.outcomes import Reason, Refused

SHORTEST: Final = 15
LONGEST: Final = 128
FEWEST_DIFFERENT: Final = 6


def decide_strength(passphrase: str, *, login: str) -> None:
    """Refuses: passphrase_weak (fact `why`: short, long, known, repeats, sequence, own_name)."""
    text = unicodedata.normalize("NFC", passphrase)
    if len(text) < SHORTEST:
        raise Refused(Reason.PASSPHRASE_WEAK, why="short")
    if len(text) > LONGEST:
        raise Refused(Reason.PASSPHRASE_WEAK, why="long")
    bare = re.sub(r"[\W_]+", "", text.casefold())
    # Counted without punctuation, so that `password!!!!!!!` is no longer than it is.
    if _plain(text) in _KNOWN:
        raise Refused(Reason.PASSPHRASE_WEAK, why="known")
    if len(set(bare)) < FEWEST_DIFFERENT or _REPEATED.fullmatch(bare):
        raise Refused(Reason.PASSPHRASE_WEAK, why="repeats")
    if any(bare in row or bare[::-1] in row for row in _ROWS):
        raise Refused(Reason.PASSPHRASE_WEAK, why="sequence")
    left = bare
    for name in (re.sub(r"[\W_]+", "", login.casefold()), *_OUR_NAMES):
        left = left.replace(name, "")
    if len(left) < SHORTEST // 2:
        raise Refused(Reason.PASSPHRASE_WEAK, why="own_name")


def _plain(text: str) -> str:
    """As typed by somebody who believes that 3 for e helps; what stands behind is left out."""
    told = re.sub(r"[\W\d_]+$", "", text.casefold()).translate(_LEET)
    return re.sub(r"[\W_]+", "", told)


_REPEATED: Final = re.compile(r"(.{1,12})\1+.{0,3}")
_LEET: Final = str.maketrans("013457@$", "oieastas")
_OUR_NAMES: Final = (
    "smartidwallet",
    "smartid",
    "wallet",
    "acleda",
    "canadia",
    "wing",
    "cambodia",
    "kampuchea",
    "phnompenh",
    "password",
    "passphrase",
)
_ROWS: Final = tuple(
    row * 3
    for row in (
        "0123456789",
        "1234567890",
        "abcdefghijklmnopqrstuvwxyz",
        "qwertyuiopasdfghjklzxcvbnm",
        "qwertyuiop",
        "asdfghjkl",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    )
)
_KNOWN: Final = frozenset(
    {
        "correcthorsebatterystaple",
        "passwordpassword",
        "letmeinletmein",
        "iloveyouiloveyou",
        "thisismypassword",
        "thisisapassword",
        "mypasswordissecret",
        "administrator",
        "administratoradministrator",
        "changemechangeme",
        "pleasechangeme",
        "welcometothejungle",
        "trustnooneever",
        "tobeornottobe",
        "tobeornottobethatisthequestion",
        "thequickbrownfoxjumpsoverthelazydog",
        "thequickbrownfox",
        "maytheforcebewithyou",
        "opensesameopensesame",
        "qwertyqwertyqwerty",
        "abcabcabcabcabc",
        "monkeymonkeymonkey",
        "dragondragondragon",
        "sunshinesunshine",
        "princessprincess",
        "footballfootball",
        "baseballbaseball",
        "supermansuperman",
        "starwarsstarwars",
        "whateverwhatever",
        "onetwothreefourfive",
        "allyourbasearebelongtous",
        "iamthebestintheworld",
        "angkorwatcambodia",
        "kingdomofcambodia",
        "nationreligionking",
        "ilovecambodia",
    }
)
