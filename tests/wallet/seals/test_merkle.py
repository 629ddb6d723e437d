"""The tree: every leaf's path leads to the root, and nothing else does."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.seals import base45, merkle

BODIES = st.lists(st.binary(max_size=40), min_size=1, max_size=70)


def _rfc_6962_root(bodies: list[bytes]) -> bytes:
    """Section 2.1 word for word, as the oracle."""
    if len(bodies) == 1:
        return sha256(b"\x00" + bodies[0]).digest()
    split = 1
    while split * 2 < len(bodies):
        split *= 2
    left, right = _rfc_6962_root(bodies[:split]), _rfc_6962_root(bodies[split:])
    return sha256(b"\x01" + left + right).digest()


@given(BODIES)
def test_the_root_is_rfc_6962s(bodies: list[bytes]) -> None:
    assert merkle.root([merkle.leaf_hash(body) for body in bodies]) == _rfc_6962_root(bodies)


@pytest.mark.parametrize("size", [*range(1, 35), 63, 64, 65, 1023, 1024])
def test_every_leaf_of_every_size_is_proved_and_a_changed_one_is_not(size: int) -> None:
    leaves = [merkle.leaf_hash(b"%d" % i) for i in range(size)]
    root = merkle.root(leaves)
    for place in range(0, size, max(1, size // 40)):
        path = merkle.path(leaves, place)
        assert len(path) <= 10
        assert merkle.root_by(leaves[place], place, size, path) == root
        assert merkle.root_by(merkle.leaf_hash(b"another"), place, size, path) != root


@given(BODIES, st.data())
def test_no_other_leaf_place_size_or_path_leads_to_the_root(
    bodies: list[bytes], data: st.DataObject
) -> None:
    leaves = [merkle.leaf_hash(body) for body in bodies]
    root, size = merkle.root(leaves), len(leaves)
    place = data.draw(st.integers(0, size - 1))
    path = merkle.path(leaves, place)
    assert merkle.root_by(leaves[place], place, size, path) == root
    flipped = data.draw(st.integers(0, 255))
    changed = bytearray(leaves[place])
    changed[flipped // 8] ^= 1 << flipped % 8
    assert merkle.root_by(bytes(changed), place, size, path) != root
    if path:
        step = data.draw(st.integers(0, len(path) - 1))
        broken = bytearray(path[step])
        broken[flipped // 8] ^= 1 << flipped % 8
        steps = [*path[:step], bytes(broken), *path[step + 1 :]]
        assert merkle.root_by(leaves[place], place, size, steps) != root
        assert merkle.root_by(leaves[place], place, size, path[:-1]) is None
    assert merkle.root_by(leaves[place], place, size, [*path, leaves[0]]) is None
    assert merkle.root_by(leaves[place], size, size, path) is None
    other = data.draw(st.integers(0, size - 1))
    if leaves[other] != leaves[place]:
        assert merkle.root_by(leaves[place], other, size, path) != root


def test_a_node_cannot_pass_for_a_leaf() -> None:
    """The second-preimage attack of trees without prefixes."""
    leaves = [merkle.leaf_hash(b"a"), merkle.leaf_hash(b"b")]
    assert merkle.leaf_hash(leaves[0] + leaves[1]) != merkle.root(leaves)


@given(st.binary(max_size=300))
def test_base45_there_and_back(data: bytes) -> None:
    assert base45.decode(base45.encode(data)) == data


@pytest.mark.parametrize(
    ("data", "text"), [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"ietf!", "QED8WEX0")]
)
def test_base45_is_rfc_9285s(data: bytes, text: str) -> None:
    assert base45.encode(data) == text
    assert base45.decode(text) == data


@pytest.mark.parametrize("text", ["A", "ABCD", "a00", "::", ":::", "GGX", "Ä00"])
def test_base45_refuses_what_it_never_writes(text: str) -> None:
    with pytest.raises(ValueError):
        base45.decode(text)
