"""Merkle trees as RFC 6962 section 2.1 has them, over leaves already hashed.

Promise: pure. A leaf is SHA-256(0x00 || bytes), a node SHA-256(0x01 || left || right); a tree of n
leaves splits at the largest power of two below n, so no leaf can pass for a node and no shorter
tree for a longer one. Who calls: sealing, issuing, proving, receipt.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
LEAF: Final = b"\x00"
NODE: Final = b"\x01"


def leaf_hash(content: bytes) -> bytes:
    """The hash that stands at the bottom of a tree for `content`."""
    return sha256(LEAF + content).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes, at least one."""
    level = list(leaves)
    if not level:
        raise ValueError("a tree has at least one leaf")
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def path(leaves: Sequence[bytes], place: int) -> list[bytes]:
    """The hashes that lead from the leaf at `place` to the root, from the bottom up."""
    if not 0 <= place < len(leaves):
        raise ValueError("no such leaf")
    level, found = list(leaves), []
    while len(level) > 1:
        if (beside := place ^ 1) < len(level):
            found.append(level[beside])
        level, place = _level_above(level), place // 2
    return found


def root_by(leaf: bytes, place: int, size: int, steps: Sequence[bytes]) -> bytes | None:
    """The root of a tree of `size` leaves that `steps` lead to from `leaf`; None when there are
    too few or too many steps, or a step is no hash."""
    if not 0 <= place < size or any(len(step) != HASH_BYTES for step in steps):
        return None
    reached, waiting, last = leaf, list(steps), size - 1
    while last > 0:
        if place % 2 or place < last:
            if not waiting:
                return None
            beside = waiting.pop(0)
            reached = _node(beside, reached) if place % 2 else _node(reached, beside)
        place, last = place // 2, last // 2
    return None if waiting else reached


def _level_above(level: list[bytes]) -> list[bytes]:
    # An odd one out rises unhashed: pairing level by level gives RFC 6962's split.
    above = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return above + level[-1:] if len(level) % 2 else above


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(NODE + left + right).digest()
