"""Merkle trees over the lines of a log (RFC 9162, section 2.1): their roots, and proofs about them.

A log of n lines has one root. That a line is in it, and that a longer log begins with it, is proven with about log2(n)
hashes, which whoever has only the root can check. Everything here takes memory of that order, however long the log.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

HASH_BYTES = 32


def leaf_hash(line: bytes) -> bytes:
    """Returns the hash of one line."""
    return sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns the hash of two subtrees."""
    return sha256(b"\x01" + left + right).digest()


class Range:
    """The leaves from the first on, as the roots of the largest whole subtrees, left to right; grows by appending."""

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """Goes on from what another one had. Raises ValueError for hashes that no log of that size has."""
        if size.bit_count() != len(hashes) or any(len(one) != HASH_BYTES for one in hashes):
            raise ValueError(f"a log of {size} lines has {size.bit_count()} subtrees of {HASH_BYTES} bytes")
        self.size = size
        self.hashes = list(hashes)

    def append(self, leaf: bytes) -> None:
        """Takes the next leaf's hash."""
        grown = self.size
        while grown & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            grown >>= 1
        self.hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Returns the root: the hash of nothing for an empty log."""
        if not self.hashes:
            return sha256(b"").digest()
        right = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            right = node_hash(left, right)
        return right


def _split(count: int) -> int:
    """Returns the greatest power of two below a count of at least 2."""
    return 1 << (count - 1).bit_length() - 1


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Returns the ranges of leaves whose roots prove that a line is in a log, from the leaf up (RFC 9162, 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError(f"there is no line {index} in a log of {size}")
    ranges: list[tuple[int, int]] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((first, middle))
            first = middle
    return ranges[::-1]


def consistency_ranges(old: int, size: int) -> list[tuple[int, int]]:
    """Returns the ranges of leaves whose roots prove that a log begins with an older one (RFC 9162, 2.1.4.1)."""
    if not 0 < old <= size:
        raise ValueError(f"a log of {size} lines was never one of {old}")
    ranges: list[tuple[int, int]] = []
    first, end, whole = 0, size, True
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((first, middle))
            first, whole = middle, False
    if not whole:
        ranges.append((first, end))
    return ranges[::-1]


def roots_of(leaves: Iterable[bytes], ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Returns the roots of ranges that do not overlap, in the order given, from the leaves' hashes, read once. Raises
    ValueError when there are too few leaves."""
    order = iter(sorted(ranges))
    roots: dict[tuple[int, int], bytes] = {}
    current = next(order, None)
    growing = Range()
    for place, leaf in enumerate(leaves):
        if current is None:
            break
        if place < current[0]:
            continue
        growing.append(leaf)
        if place + 1 == current[1]:
            roots[current] = growing.root()
            current, growing = next(order, None), Range()
    if current is not None:
        raise ValueError(f"the log ends before line {current[1]}")
    return [roots[one] for one in ranges]


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Returns the root that a log has if a leaf is at this place of it and the proof is right. Raises ValueError for a
    proof of another length."""
    ranges = inclusion_ranges(index, size)
    if len(ranges) != len(proof):
        raise ValueError("the proof has another length than such a log's")
    for (first, _), other in zip(ranges, proof, strict=True):
        leaf = node_hash(other, leaf) if first < index else node_hash(leaf, other)
    return leaf


def roots_of_consistency(old: int, size: int, old_root: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Returns the roots that the older and the longer log have if the proof is right. Raises ValueError for a proof of
    another length."""
    ranges = consistency_ranges(old, size)
    if len(ranges) != len(proof):
        raise ValueError("the proof has another length than such logs'")
    steps = list(zip(ranges, proof, strict=True))
    if not steps:
        return old_root, old_root
    before: bytes
    # The subtree in which the older log ends: the whole of it, or the first hash of the proof.
    if ranges[0][1] == old and ranges[0][0] > 0:
        before = after = steps.pop(0)[1]
    else:
        before = after = old_root
    for (first, _), other in steps:
        if first < old:
            before, after = node_hash(other, before), node_hash(other, after)
        else:
            after = node_hash(after, other)
    return before, after


def leaf_hashes(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the hash of each line."""
    return map(leaf_hash, lines)
