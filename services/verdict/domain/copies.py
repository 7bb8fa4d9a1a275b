"""Which records are one and the same test. A copy and its original count once.

The identity of a test is that of its original, where the copy names it; otherwise the record's own. The content that
holds is that of the latest revision anyone shows of it, so that a copy follows its original when that is amended or
retracted. A retracted copy withdraws the copy, not the test.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from services.verdict.domain.model import Record

Key = tuple[str, str]


class OneTest(Struct, frozen=True):
    """The records of one test. `truth` is the record whose content holds; None when only retracted copies are known."""

    identity: Key
    provenance: str
    truth: Record | None
    records: tuple[Record, ...]


def one_each(records: Iterable[Record]) -> dict[Key, Record]:
    """The records by identity, the latest revision of each. Evidence holds each once; two views of one are settled here
    the same way in whatever order they come."""
    latest: dict[Key, Record] = {}
    for record in records:
        key = (record.region, record.source_id)
        other = latest.get(key)
        if other is None or _later(record, other):
            latest[key] = record
    return latest


def _later(record: Record, other: Record) -> bool:
    if record.revision != other.revision:
        return record.revision > other.revision
    return msgspec.json.encode(record) > msgspec.json.encode(other)


def gather(records: Iterable[Record]) -> list[OneTest]:
    """The tests these records are of."""
    by_key = one_each(records)
    if all(record.origin is None for record in by_key.values()):
        return [OneTest(key, record.region, record, (record,)) for key, record in by_key.items()]
    groups: dict[Key, list[Record]] = {}
    for key, record in by_key.items():
        groups.setdefault(_root(key, record, by_key), []).append(record)
    return [_merge(identity, group, by_key) for identity, group in groups.items()]


def _root(key: Key, record: Record, by_key: dict[Key, Record]) -> Key:
    """The identity of the original: a copy of a copy is followed, a circle is broken at its least member."""
    seen = {key}
    current: Record | None = record
    while current is not None and current.origin is not None and current.origin.source_id:
        key = (current.origin.region, current.origin.source_id)
        if key in seen:
            return min(seen)
        seen.add(key)
        current = by_key.get(key)
    return key


def _merge(identity: Key, group: list[Record], by_key: dict[Key, Record]) -> OneTest:
    original = by_key.get(identity)
    # The original first, then by region and id: the order in which grounds name them.
    ordered = sorted(group, key=lambda record: (record is not original, record.region, record.source_id))
    telling = [record for record in ordered if record is original or not record.retracted]
    truth = max(telling, key=lambda record: _version(record, original), default=None)
    unknown_original = original.origin.region if original is not None and original.origin is not None else ""
    return OneTest(identity, unknown_original or identity[0], truth, tuple(ordered))


def _version(record: Record, original: Record | None) -> tuple[int, bool, int, str, str]:
    if record is original:
        return (record.revision, True, 0, "", "")
    copied = record.origin.revision if record.origin is not None else 0
    return (copied, False, record.recorded_at or 0, record.region, record.source_id)
