"""Joins what several sources said about one person: each record and each laboratory once, in its newest revision."""

from collections.abc import Iterable, Sequence

from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import TestRecord


def merge_records(answers: Sequence[Sequence[TestRecord]]) -> Sequence[TestRecord]:
    """Returns each record once, by (region, source_id), in the latest revision anyone holds. The messages are not
    copied.

    Latest goes by when its region recorded it: after a region was restored from a backup, the nation counts on where
    the region begins again, and only then do the numbers of the two differ.
    """
    if len(answers) == 1 and len(answers[0]) == 1:
        return answers[0]
    newest: dict[tuple[str, str], TestRecord] = {}
    for records in answers:
        for record in records:
            identity = (record.region, record.source_id)
            held = newest.get(identity)
            if held is None or _age(record) > _age(held):
                newest[identity] = record
    return [newest[identity] for identity in sorted(newest)]


def merge_laboratories(tables: Iterable[Iterable[Laboratory]]) -> dict[str, Laboratory]:
    """Returns each laboratory once, by id, in the latest revision anyone holds of it.

    Where several regions have registered one id, whose it is cannot be told from here: the suspensions of all of them
    stand, so that no namesake can outvote one.
    """
    newest: dict[tuple[str, str], Laboratory] = {}
    for laboratories in tables:
        for laboratory in laboratories:
            identity = (laboratory.laboratory, laboratory.region)
            held = newest.get(identity)
            if held is None or _age(laboratory) > _age(held):
                newest[identity] = laboratory
    merged: dict[str, Laboratory] = {}
    for (name, _), laboratory in sorted(newest.items(), key=lambda item: item[0]):
        namesake = merged.get(name)
        if namesake is None:
            merged[name] = laboratory
            continue
        both = Laboratory()
        both.CopyFrom(namesake)
        both.suspensions.extend(laboratory.suspensions)
        merged[name] = both
    return merged


def _age(revision: TestRecord | Laboratory) -> tuple[int, int, int]:
    recorded_at = revision.recorded_at
    return recorded_at.seconds, recorded_at.nanos, revision.revision
