"""The columns by which a selection finds a revision, as both stores tell them from what earlier programs wrote."""

from collections.abc import Iterable
from typing import NamedTuple

from hutong.records.v1.record_pb2 import TestRecord

from services.records.domain.content import latest_at
from services.records.domain.revisions import always_given, origin_of
from services.records.domain.weight import weight_of


class Weighed(NamedTuple):
    """A revision, by its key, and its columns: the later of its instants in microseconds since 1970, UTC, its weight,
    and whether it is always given."""

    person_key: bytes
    region: str
    source_id: str
    revision: int
    latest_at: int
    weight: int
    always_given: bool


def weighed(rows: Iterable[tuple[bytes, str, str, int, bool, bytes]]) -> list[Weighed]:
    """Returns the columns of revisions, given as key, whether it is a retraction, and body."""
    columns = []
    for person_key, region, source_id, revision, retracted, body in rows:
        content = TestRecord.FromString(body).content
        weight = weight_of(content, retracted=bool(retracted))
        always = always_given(weight, origin_of(content))
        columns.append(Weighed(person_key, region, source_id, revision, latest_at(content), weight, always))
    return columns
