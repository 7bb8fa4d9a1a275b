"""Which records are one and the same test. A copy and its original count once.

The identity of a test is that of its original, where the copy names it; otherwise the record's own. Where the original
is itself in evidence its current revision is the truth, whatever a copy claims of a later one: a copy follows its
original when that is amended or retracted, and cannot overrule or revive it. The one thing a copy may add is a result
that the original's store has not received yet. Where the original is not in evidence, the copy of its latest revision
tells. A retracted copy withdraws the copy, not the test.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from services.common.instants import Instant
from services.verdict.domain.model import Kind, Record

Key = tuple[str, str]

SAMPLING, RESULT = Kind.SAMPLING, Kind.RESULT


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
    roots: dict[Key, Key] = {}
    for key, record in by_key.items():
        groups.setdefault(_root(key, by_key, roots), []).append(record)
    return [_merge(identity, group, by_key) for identity, group in groups.items()]


def _named(record: Record) -> Key | None:
    """The original a copy names; None for an original, and for a copy whose presenter could not tell."""
    origin = record.origin
    return None if origin is None or not origin.source_id else (origin.region, origin.source_id)


def _root(key: Key, by_key: dict[Key, Record], roots: dict[Key, Key]) -> Key:
    """The identity of the original: a copy of a copy is followed, a circle is broken at its least member. `roots`
    remembers every step, so that no chain is walked twice."""
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
            onward = None if record is None else _named(record)
            if onward is None:
                root = key
            else:
                key = onward
    roots.update(dict.fromkeys(path, root))
    return root


def _merge(identity: Key, group: list[Record], by_key: dict[Key, Record]) -> OneTest:
    original = by_key.get(identity)
    lead = original
    if lead is None:
        # Of a copy of a copy the nearest to the original tells, for it is itself the other's original.
        telling = [record for record in group if not record.retracted and _named(record) not in by_key]
        lead = max(telling, key=_version, default=None)
    reported = None if lead is None else _reported_meanwhile(lead, group, by_key)
    first = original if reported is None else reported
    # The original first, or the copy that has its result, then by region and id: the order in which grounds name them.
    ordered = sorted(group, key=lambda record: (record is not first, record.region, record.source_id))
    unknown_original = original.origin.region if original is not None and original.origin is not None else ""
    truth = lead if lead is None or reported is None else _completed(reported, lead)
    return OneTest(identity, unknown_original or identity[0], truth, tuple(ordered))


def _reported_meanwhile(lead: Record, group: list[Record], by_key: dict[Key, Record]) -> Record | None:
    """The copy with the result that a sampling record still awaits, such as a certificate issued before the store
    heard of it; None when there is none, or none is awaited."""
    if lead.retracted or lead.kind != SAMPLING:
        return None
    telling = [
        record
        for record in group
        if record.kind == RESULT
        and not record.retracted
        and _awaits(by_key.get(_named(record) or ("", "")))
        and not _before(record.reported_at, lead.sampled_at)
    ]
    return max(telling, key=_version, default=None)


def _awaits(original: Record | None) -> bool:
    return original is None or (original.kind == SAMPLING and not original.retracted)


def _before(reported_at: Instant | None, sampled_at: Instant | None) -> bool:
    return reported_at is not None and sampled_at is not None and reported_at < sampled_at


def _completed(reported: Record, lead: Record) -> Record:
    """The copy's result of the sample that the original tells of."""
    return msgspec.structs.replace(
        reported,
        sampled_at=reported.sampled_at if lead.sampled_at is None else lead.sampled_at,
        laboratory=lead.laboratory or reported.laboratory,
        tube=lead.tube,
    )


def _version(record: Record) -> tuple[int, int, str, str]:
    copied = record.origin.revision if record.origin is not None else 0
    return (copied, record.recorded_at or 0, record.region, record.source_id)
