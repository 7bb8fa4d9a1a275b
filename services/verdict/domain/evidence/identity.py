"""The identity of tests: a copy and its original are one and the same, and count once.

The identity of a test is that of its original, where the copy names it; otherwise the record's own. Where the original
is itself in evidence its current revision holds, whatever a copy claims of a later one: a copy follows its
original when that is amended or retracted, and cannot overrule or revive it. The one thing a copy may add is a result
that the original's store has not received yet. Where the original is not in evidence, the copy of its latest revision
tells. A retracted copy withdraws the copy, not the test.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from services.common.instants import Instant
from services.verdict.domain.evidence.values import Kind, Record

Key = tuple[str, str]

SAMPLING, RESULT = Kind.SAMPLING, Kind.RESULT


class MergedTest(Struct, frozen=True, gc=False):
    """The records of one test. `content` is the record whose content holds; None when only retracted copies are
    known."""

    identity: Key
    origin_region: str
    content: Record | None
    records: tuple[Record, ...]


def latest_revisions(records: Iterable[Record]) -> dict[Key, Record]:
    """Returns the records by identity, the latest revision of each. Evidence holds each once; two views of one are
    settled here the same way in whatever order they come."""
    latest: dict[Key, Record] = {}
    for record in records:
        key = (record.region, record.source_id)
        other = latest.get(key)
        if other is None or _supersedes(record, other):
            latest[key] = record
    return latest


def _supersedes(record: Record, other: Record) -> bool:
    if record.revision != other.revision:
        return record.revision > other.revision
    return msgspec.json.encode(record) > msgspec.json.encode(other)


def merge_records(records: Iterable[Record]) -> list[MergedTest]:
    """Returns the tests that these records tell of."""
    by_key = latest_revisions(records)
    if all(record.origin is None for record in by_key.values()):
        return [MergedTest(key, record.region, record, (record,)) for key, record in by_key.items()]
    groups: dict[Key, list[Record]] = {}
    roots: dict[Key, Key] = {}
    for key, record in by_key.items():
        groups.setdefault(_root(key, by_key, roots), []).append(record)
    return [_merge(identity, group, by_key) for identity, group in groups.items()]


def _named_original(record: Record) -> Key | None:
    """Returns the original that a copy names; None for an original, and for a copy whose presenter could not tell."""
    origin = record.origin
    return None if origin is None or not origin.source_id else (origin.region, origin.source_id)


def _root(key: Key, by_key: dict[Key, Record], roots: dict[Key, Key]) -> Key:
    """Returns the identity of the original: a copy of a copy is followed, a circle is broken at its least member.
    `roots` remembers every step, so that no chain is walked twice."""
    path: dict[Key, None] = {}
    root: Key | None = None
    while root is None:
        if key in roots:
            root = roots[key]
        elif key in path:
            walked = list(path)
            root = min(walked[walked.index(key) :])
        else:
            path[key] = None
            record = by_key.get(key)
            original = None if record is None else _named_original(record)
            if original is None:
                root = key
            else:
                key = original
    roots.update(dict.fromkeys(path, root))
    return root


def _merge(identity: Key, group: list[Record], by_key: dict[Key, Record]) -> MergedTest:
    original = by_key.get(identity)
    leading = original
    if leading is None:
        # Of a copy of a copy the nearest to the original tells, for it is itself the other's original.
        candidates = [record for record in group if not record.retracted and _named_original(record) not in by_key]
        leading = max(candidates, key=_version, default=None)
    early_result = None if leading is None else _result_brought_by_a_copy(leading, group, by_key)
    first = original if early_result is None else early_result
    # The original first, or the copy that has its result, then by region and id: the order in which grounds name them.
    ordered = sorted(group, key=lambda record: (record is not first, record.region, record.source_id))
    unknown_original = original.origin.region if original is not None and original.origin is not None else ""
    content = leading if leading is None or early_result is None else _completed(early_result, leading)
    return MergedTest(identity, unknown_original or identity[0], content, tuple(ordered))


def _result_brought_by_a_copy(leading: Record, group: list[Record], by_key: dict[Key, Record]) -> Record | None:
    """Returns the copy with the result that a sampling record still awaits, such as a certificate issued before the
    store heard of it; None when there is none, or none is awaited."""
    if leading.retracted or leading.kind != SAMPLING:
        return None
    candidates = [
        record
        for record in group
        if record.kind == RESULT
        and not record.retracted
        and _awaits_result(by_key.get(_named_original(record) or ("", "")))
        and not _before(record.reported_at, leading.sampled_at)
    ]
    return max(candidates, key=_version, default=None)


def _awaits_result(original: Record | None) -> bool:
    return original is None or (original.kind == SAMPLING and not original.retracted)


def _before(reported_at: Instant | None, sampled_at: Instant | None) -> bool:
    return reported_at is not None and sampled_at is not None and reported_at < sampled_at


def _completed(result: Record, sampling: Record) -> Record:
    """Returns the copy's result as that of the sample which the original tells of."""
    return msgspec.structs.replace(
        result,
        sampled_at=result.sampled_at if sampling.sampled_at is None else sampling.sampled_at,
        laboratory=sampling.laboratory or result.laboratory,
        tube=sampling.tube,
    )


def _version(record: Record) -> tuple[int, int, str, str]:
    copied = record.origin.revision if record.origin is not None else 0
    return (copied, record.recorded_at or 0, record.region, record.source_id)
