"""Merkle trees: roots and proofs against the plain definition of RFC 9162."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.audit.tree import (
    Range,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    root_of_inclusion,
    roots_of,
    roots_of_consistency,
)


def plain_root(leaves: list[bytes]) -> bytes:
    """The definition, word by word (2.1.1)."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(plain_root(leaves[:split]), plain_root(leaves[split:]))


def leaves_of(size: int) -> list[bytes]:
    """Leaves that differ."""
    return [leaf_hash(b"%d" % place) for place in range(size)]


def grown(leaves: list[bytes]) -> Range:
    """A range with these leaves appended one by one."""
    whole = Range()
    for leaf in leaves:
        whole.append(leaf)
    return whole


def test_the_roots_of_rfc_6962s_own_examples():
    """Empty, and the first leaves of the reference implementation's test vectors."""
    assert "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" == grown([]).root().hex()
    assert "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" == grown([leaf_hash(b"")]).root().hex()
    two = grown([leaf_hash(b""), leaf_hash(b"\x00")])
    assert "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" == two.root().hex()


@pytest.mark.parametrize("size", range(70))
def test_a_growing_log_has_the_plain_root(size):
    """And goes on from what was kept of it."""
    leaves = leaves_of(size)
    whole = grown(leaves)
    assert plain_root(leaves) == whole.root()
    again = Range(whole.size, whole.hashes)
    again.append(leaf_hash(b"next"))
    assert plain_root([*leaves, leaf_hash(b"next")]) == again.root()


@pytest.mark.parametrize("size", range(1, 40))
def test_each_line_is_proven_to_be_in_its_place_and_no_other(size):
    """With the proof's own root; another place or another line has another."""
    leaves = leaves_of(size)
    root = plain_root(leaves)
    for index, leaf in enumerate(leaves):
        proof = roots_of(leaves, inclusion_ranges(index, size))
        assert root == root_of_inclusion(leaf, index, size, proof)
        assert root != root_of_inclusion(leaf_hash(b"other"), index, size, proof)


@given(st.integers(1, 200), st.data())
def test_a_longer_log_begins_with_the_older_one(size, data):
    """Both roots come out of the proof; a line changed below the older size is noticed."""
    old = data.draw(st.integers(1, size))
    leaves = leaves_of(size)
    old_root, root = plain_root(leaves[:old]), plain_root(leaves)
    proof = roots_of(leaves, consistency_ranges(old, size))
    assert (old_root, root) == roots_of_consistency(old, size, old_root, proof)
    changed = data.draw(st.integers(0, old - 1))
    other = [*leaves]
    other[changed] = leaf_hash(b"changed")
    forged = roots_of(other, consistency_ranges(old, size))
    assert (old_root, plain_root(other)) != roots_of_consistency(old, size, old_root, forged)


def test_what_cannot_be_is_refused():
    """Places outside the log, proofs of another length, hashes of another log."""
    for index, size in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(ValueError, match="no line"):
            inclusion_ranges(index, size)
    with pytest.raises(ValueError, match="never one of"):
        consistency_ranges(4, 3)
    with pytest.raises(ValueError, match="another length"):
        root_of_inclusion(leaf_hash(b""), 0, 4, [])
    with pytest.raises(ValueError, match="another length"):
        roots_of_consistency(3, 4, leaf_hash(b""), [])
    with pytest.raises(ValueError, match="subtrees"):
        Range(3, [leaf_hash(b"")])
    with pytest.raises(ValueError, match="ends before"):
        roots_of(leaves_of(3), [(2, 4)])
