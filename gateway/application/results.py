"""A person's results from everywhere: each test once, newest first, in pages. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hutong.gateway.v1.health_code_service_pb2 import LaboratoryView, ResultView
from hutong.lookup.v1.evidence_service_pb2 import Evidence, SourceCoverage, SourceStatus
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord

from services.common.instants import from_timestamp
from services.common.requests.paging import digest, page_size, read_token, write_token

DEFAULT_PAGE = 50
LONGEST_PAGE = 200


class _Place(NamedTuple):
    """The place of a test in the list: newest first (`age` in microseconds before the epoch), then by its identity."""

    age: int
    region: str
    source_id: str


def views(evidence: Iterable[Evidence]) -> list[ResultView]:
    """The results in these pieces of evidence, newest sample first, those without a sampling time by their report.

    Withdrawn ones are left out. A copy is the same test as its original: it is listed as such only where the original
    is not known, and otherwise the original says where it was copied to.
    """
    current: dict[tuple[str, str], TestRecord] = {}
    for piece in evidence:
        for record in piece.records:
            key = (record.region, record.source_id)
            if key not in current or current[key].revision < record.revision:
                current[key] = record
    tests: dict[tuple[str, str], list[TestRecord]] = {}
    for record in current.values():
        original = current.get(_identity(record), record)
        # What its own region withdrew is withdrawn in every copy, also in one that has not followed yet.
        if RevisionAction.REVISION_ACTION_RETRACTED not in (record.action, original.action):
            tests.setdefault(_identity(record), []).append(record)
    listed = [_view(identity, records) for identity, records in tests.items()]
    return sorted(listed, key=lambda view: _place(view.record))


def _identity(record: TestRecord) -> tuple[str, str]:
    origin = record.content.origin
    if origin.region and origin.source_id:
        return (origin.region, origin.source_id)
    return (record.region, record.source_id)


def _view(identity: tuple[str, str], records: list[TestRecord]) -> ResultView:
    records.sort(key=lambda record: ((record.region, record.source_id) != identity, record.region, record.source_id))
    shown = TestRecord()
    shown.CopyFrom(records[0])
    shown.ClearField("person_key")
    return ResultView(
        record=shown,
        origin_region=shown.content.origin.region or shown.region,
        copied_to=sorted({record.region for record in records[1:]} - {shown.region}),
    )


def one(record: TestRecord) -> ResultView:
    """One record as its holder sees it."""
    return _view(_identity(record), [record])


def _place(record: TestRecord) -> _Place:
    content = record.content
    when = content.sampled_at if content.HasField("sampled_at") else content.reported_at
    return _Place(-from_timestamp(when), record.region, record.source_id)


def page(listed: Sequence[ResultView], person: bytes, size: int, token: str) -> tuple[Sequence[ResultView], str]:
    """The results of a person after the one a token names, at most `size`, and the token of the next page, empty on the
    last.

    Raises InvalidArgument (PAGE_SIZE, PAGE_TOKEN).
    """
    size = page_size(size, DEFAULT_PAGE, LONGEST_PAGE)
    question = digest(person)
    if token:
        after = read_token(token, question, _Place)
        listed = [view for view in listed if _place(view.record) > after]
    shown = listed[:size]
    return shown, write_token(question, _place(shown[-1].record)) if len(listed) > size else ""


def coverage(evidence: Iterable[Evidence]) -> list[SourceCoverage]:
    """Returns the sources that were asked, each once; one that failed to answer any question counts as not having
    answered."""
    sources: dict[str, SourceCoverage] = {}
    for piece in evidence:
        for source in piece.coverage:
            known = sources.get(source.source)
            if known is None or (
                known.status == SourceStatus.SOURCE_STATUS_OK and source.status != SourceStatus.SOURCE_STATUS_OK
            ):
                sources[source.source] = source
    return [sources[name] for name in sorted(sources)]


def laboratories(shown: Iterable[ResultView], evidence: Iterable[Evidence]) -> list[LaboratoryView]:
    """Returns the laboratories of these results that some source knows, by id, as people are told of them."""
    named = {view.record.content.laboratory for view in shown}
    known = {one.laboratory: one for piece in evidence for one in piece.laboratories if one.laboratory in named}
    return [
        LaboratoryView(laboratory=name, display_name=known[name].display_name, contact=known[name].contact)
        for name in sorted(known)
    ]
