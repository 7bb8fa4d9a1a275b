"""Checks of a region that implements RecordReadService and ChangeFeedService itself: nothing is written.

Each check looks at one promise of the contracts, so that one fault fails one check.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.identity_pb2 import StoreIdentity, StoreKind
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.change_feed_service_pb2 import (
    Change,
    FeedCursor,
    ListChangesRequest,
    ListChangesResponse,
    WatchChangesRequest,
    WatchChangesResponse,
)
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord, TestResult
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsRequest,
    BatchListRecordsResponse,
    GetRecordHistoryRequest,
    GetRecordHistoryResponse,
    ListLaboratoriesRequest,
    ListLaboratoriesResponse,
    ListRecordsRequest,
    ListRecordsResponse,
    RecordSelection,
)

from cli.conformance.calling import METHODS, SECONDS, GrpcTarget, Refusal
from cli.conformance.outcomes import CaseOutcome

VERSION = 1
"""The version of the checks; it changes with what they ask."""

M = TypeVar("M", bound=Message)

MOST_CHANGES = 20_000
"""A longer feed is checked in its first so many changes; what needs the whole of it is skipped."""
MOST_PEOPLE = 100
_PAGE, _SMALL_PAGE = 500, 3
_QUIET_SECONDS = 1.5
"""A watch that has given nothing new for so long has come to the end."""
_LIFE_SECONDS = 3.5
_ABANDONED = 40
"""Streams left at their deadline, one after another in groups."""
_PURPOSE = Purpose.PURPOSE_RECORD_KEEPING
"""A region's own system may read its whole store for this one alone."""
_NOBODY = bytes([1, *([0xEE] * 15)])


class Skipped(Exception):
    """A check that cannot be made at this target; the message says why."""


class Whole(NamedTuple):
    """The whole feed, as pages of a common size told it."""

    changes: Sequence[Change]
    cursor: FeedCursor
    complete: bool

    def records(self) -> list[TestRecord]:
        """Returns the revisions of records, in order."""
        return [change.record for change in self.changes if change.HasField("record")]

    def people(self) -> list[bytes]:
        """Returns whose records there are, at most MOST_PEOPLE."""
        return list(dict.fromkeys(record.person_key for record in self.records()))[:MOST_PEOPLE]

    def current(self, known_at: datetime | None = None) -> dict[bytes, dict[tuple[str, str], TestRecord]]:
        """Returns the newest revision of each record, by person, as known then."""
        newest: dict[bytes, dict[tuple[str, str], TestRecord]] = defaultdict(dict)
        for record in self.records():
            if known_at is None or _instant(record.recorded_at) <= known_at:
                newest[record.person_key][record.region, record.source_id] = record
        return newest


class RegionUnderTest:
    """The region that is checked: its address, its code, and how it is told to drain, where that can be done."""

    def __init__(self, target: GrpcTarget, region: str, drain: Callable[[], Awaitable[None]] | None = None) -> None:
        self.region = region
        self.drain = drain
        self._target = target
        self._whole: Whole | None = None

    async def ask(self, service: str, request: Message, kind: type[M], seconds: float = SECONDS) -> M:
        """Makes a call. Raises Refusal."""
        name = type(request).__name__.removesuffix("Request")
        answer = await self._target.send(METHODS[f"hutong.records.v1.{service}/{name}"], request, seconds)
        if not isinstance(answer, kind):
            raise TypeError(f"{name} is not answered by {kind.__name__}")
        return answer

    async def page(self, cursor: FeedCursor | None, size: int) -> ListChangesResponse:
        """Returns the changes after a cursor. Raises Refusal."""
        return await self.ask(
            "ChangeFeedService", ListChangesRequest(cursor=cursor, page_size=size), ListChangesResponse
        )

    async def pages(self, cursor: FeedCursor | None, size: int) -> list[ListChangesResponse]:
        """Returns pages to the feed's end, or as many as MOST_CHANGES takes. Raises Refusal."""
        pages: list[ListChangesResponse] = []
        for _ in range(MOST_CHANGES // size + 2):
            page = await self.page(cursor, size)
            pages.append(page)
            cursor = page.cursor
            if not page.changes:
                break
        return pages

    async def whole(self) -> Whole:
        """Returns what the feed tells from the start. Raises Refusal."""
        if self._whole is None:
            pages = await self.pages(None, _PAGE)
            changes = [change for page in pages for change in page.changes]
            # That they come in order is checked by itself.
            changes.sort(key=lambda change: change.sequence)
            self._whole = Whole(changes, pages[-1].cursor, not pages[-1].changes)
        return self._whole

    async def watch(
        self, cursor: FeedCursor | None, seconds: float, *, until: int | None = None, most: int = MOST_CHANGES
    ) -> list[WatchChangesResponse]:
        """Returns what a watch brings, until a change has this sequence, so many messages have come or time is over.
        Raises Refusal."""
        messages: list[WatchChangesResponse] = []
        method = METHODS["hutong.records.v1.ChangeFeedService/WatchChanges"]
        stream = self._target.watch(method, WatchChangesRequest(cursor=cursor), seconds + 1)
        async with contextlib.aclosing(stream):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for message in stream:
                        if not isinstance(message, WatchChangesResponse):
                            raise TypeError("not a message of a watch")
                        messages.append(message)
                        there = until is not None and any(change.sequence >= until for change in message.changes)
                        if there or len(messages) >= most:
                            break
        return messages

    async def abandon(self, cursor: FeedCursor, seconds: float) -> None:
        """Watches until the call's own deadline. Raises Refusal for any other end."""
        method = METHODS["hutong.records.v1.ChangeFeedService/WatchChanges"]
        try:
            async for _ in self._target.watch(method, WatchChangesRequest(cursor=cursor), seconds):
                pass
        except Refusal as refused:
            if refused.code != "DEADLINE_EXCEEDED":
                raise

    async def batch(self, people: Sequence[bytes], **options: object) -> BatchListRecordsResponse:
        """Returns people's records. Raises Refusal."""
        request = BatchListRecordsRequest(
            subjects=[Subject(person_key=key) for key in people],
            purpose=_PURPOSE,
            **options,  # type: ignore[arg-type]  # fields of the request, by name
        )
        return await self.ask("RecordReadService", request, BatchListRecordsResponse)

    async def history(self, region: str, source_id: str) -> GetRecordHistoryResponse:
        """Returns a record's revisions. Raises Refusal."""
        request = GetRecordHistoryRequest(region=region, source_id=source_id, purpose=_PURPOSE)
        return await self.ask("RecordReadService", request, GetRecordHistoryResponse)


def _instant(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)


def _stamp(instant: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def _name(record: TestRecord) -> str:
    return f"{record.region}/{record.source_id} revision {record.revision}"


def _revision(record: TestRecord) -> tuple[str, str, int]:
    return record.region, record.source_id, record.revision


def _sampled(record: TestRecord) -> datetime:
    content = record.content
    return _instant(content.sampled_at if content.HasField("sampled_at") else content.reported_at)


async def _identity(region: RegionUnderTest) -> list[str]:
    """Every answer says whose it is."""
    whole = await region.whole()
    page = await region.page(None, 1)
    watched = await region.watch(None, _LIFE_SECONDS, most=1)
    told: list[tuple[str, StoreIdentity]] = [("ListChanges", page.identity)]
    told += [("WatchChanges", message.identity) for message in watched[:1]]
    told.append(("BatchListRecords", (await region.batch([_NOBODY])).identity))
    laboratories = await region.ask("RecordReadService", ListLaboratoriesRequest(), ListLaboratoriesResponse)
    told.append(("ListLaboratories", laboratories.identity))
    for record in whole.records()[:1]:
        told.append(("GetRecordHistory", (await region.history(record.region, record.source_id)).identity))
    wrong: list[str] = []
    for method, identity in told:
        if identity.kind != StoreKind.STORE_KIND_RECORDS or identity.region != region.region:
            wrong.append(f"{method}: is the records of {identity.region or 'nobody'}, not of {region.region}")
        if not identity.feed_id or identity.feed_id != page.cursor.feed_id:
            wrong.append(f"{method}: the identity's feed_id is not that of the cursor")
        if len(identity.secret_fingerprint) != 8:
            wrong.append(f"{method}: secret_fingerprint has {len(identity.secret_fingerprint)} bytes, not 8")
        elif identity.secret_fingerprint != told[0][1].secret_fingerprint:
            wrong.append(f"{method}: another secret_fingerprint than ListChanges")
    return wrong


async def _feed_order(region: RegionUnderTest) -> list[str]:
    """Sequences grow, pages keep to their size, the cursor moves on."""
    wrong: list[str] = []
    last = cursor = 0
    for page in await region.pages(None, _SMALL_PAGE):
        if len(page.changes) > _SMALL_PAGE:
            wrong.append(f"a page of {len(page.changes)} changes where {_SMALL_PAGE} were asked for")
        for change in page.changes:
            if change.sequence <= last:
                wrong.append(f"sequence {change.sequence} after {last}")
            last = max(last, change.sequence)
        if page.cursor.sequence < max(cursor, *(change.sequence for change in page.changes), 0):
            wrong.append(f"the cursor stands at {page.cursor.sequence}, behind what was given")
        cursor = page.cursor.sequence
    return wrong


async def _feed_complete(region: RegionUnderTest) -> list[str]:
    """Small pages, large pages and a watch give the same; no revision is missing between two."""
    whole = await region.whole()
    if not whole.changes:
        raise Skipped("the feed is empty: nothing can be compared")
    everything = {change.sequence for change in whole.changes}
    small = {change.sequence for page in await region.pages(None, _SMALL_PAGE) for change in page.changes}
    messages = await region.watch(None, SECONDS, until=max(everything))
    watched = {change.sequence for message in messages for change in message.changes}
    wrong = [
        f"sequence {sequence}: not in {where}"
        for where, given in (("small pages", small), ("the watch", watched))
        for sequence in sorted(everything - given)
    ]
    newest: dict[tuple[str, str], int] = {}
    for record in sorted(whole.records(), key=lambda record: record.revision):
        before = newest.get((record.region, record.source_id), 0)
        if record.revision != before + 1:
            wrong.append(f"{_name(record)}: the feed has no revision {before + 1}")
        newest[record.region, record.source_id] = record.revision
    return wrong


async def _feed_resume(region: RegionUnderTest) -> list[str]:
    """From any cursor the feed, and a watch, go on with what comes after it, and nothing else."""
    whole = await region.whole()
    pages = await region.pages(None, _SMALL_PAGE)
    cursors = [page.cursor for page in pages][:: max(1, len(pages) // 3)]
    wrong: list[str] = []
    for cursor in cursors:
        after = {change.sequence for change in whole.changes if change.sequence > cursor.sequence}
        rest = {change.sequence for page in await region.pages(cursor, _PAGE) for change in page.changes}
        seconds = SECONDS if after else _QUIET_SECONDS
        messages = await region.watch(cursor, seconds, until=max(after) if after else None)
        watched = {change.sequence for message in messages for change in message.changes}
        for where, given in (("pages", rest), ("the watch", watched)):
            # What was committed meanwhile may be there too.
            wrong += [f"{where} after {cursor.sequence}: {one} is missing" for one in sorted(after - given)]
            wrong += [f"{where} after {cursor.sequence}: {one} again" for one in given if one <= cursor.sequence]
    return wrong


async def _repeated(region: RegionUnderTest) -> list[str]:
    """The same question has the same answer."""
    whole = await region.whole()
    wrong: list[str] = []
    first, again = await region.page(None, _SMALL_PAGE), await region.page(None, _SMALL_PAGE)
    if (list(first.changes), first.cursor) != (list(again.changes), again.cursor):
        wrong.append("ListChanges: another answer to the same request")
    people = whole.people()
    if people and list((await region.batch(people)).people) != list((await region.batch(people)).people):
        wrong.append("BatchListRecords: another answer to the same request")
    for record in whole.records()[:5]:
        histories = [await region.history(record.region, record.source_id) for _ in range(2)]
        if list(histories[0].revisions) != list(histories[1].revisions):
            wrong.append(f"GetRecordHistory: another answer about {record.source_id}")
    return wrong


async def _refused(asking: Awaitable[object], code: str, reason: str) -> str:
    """Returns how the answer is not this error; empty where it is."""
    try:
        await asking
    except Refusal as refused:
        return "" if (refused.code, refused.reason) == (code, reason) else f"got {refused}"
    return "got an answer"


async def _cursor_unknown(region: RegionUnderTest) -> list[str]:
    """A cursor that this feed never gave is refused, so that its follower reads again from the start."""
    whole = await region.whole()
    end = FeedCursor(feed_id=whole.cursor.feed_id, sequence=whole.cursor.sequence + 1_000_000)
    unknown = {"another feed": FeedCursor(feed_id="no-such-feed", sequence=1), "beyond the end": end}
    if whole.cursor.mark:
        marked = FeedCursor(feed_id=whole.cursor.feed_id, sequence=whole.cursor.sequence, mark=b"no-such-mark")
        unknown["another commit"] = marked
    wrong: list[str] = []
    for what, cursor in unknown.items():
        for method, asking in (
            ("ListChanges", region.page(cursor, _PAGE)),
            ("WatchChanges", region.watch(cursor, _QUIET_SECONDS)),
        ):
            if problem := await _refused(asking, "FAILED_PRECONDITION", "FEED_REBUILT"):
                wrong.append(f"{method}, a cursor of {what}: expected FAILED_PRECONDITION FEED_REBUILT, {problem}")
    return wrong


async def _cursor_now(region: RegionUnderTest) -> list[str]:
    """Sequence -1 means: only what comes next."""
    whole = await region.whole()
    page = await region.page(FeedCursor(sequence=-1), _PAGE)
    wrong = [f"got {len(page.changes)} changes of the past"] if page.changes else []
    if whole.complete and page.cursor.sequence < whole.cursor.sequence:
        wrong.append(f"the cursor stands at {page.cursor.sequence}, the feed's end is {whole.cursor.sequence}")
    return wrong


async def _watch_alive(region: RegionUnderTest) -> list[str]:
    """A watch is told something each second, and first what the store's clock says."""
    whole = await region.whole()
    messages = await region.watch(whole.cursor, _LIFE_SECONDS)
    wrong = [] if len(messages) >= 2 else [f"{len(messages)} messages in {_LIFE_SECONDS} s of a quiet feed"]
    if messages and not messages[0].HasField("told_at"):
        wrong.append("the first message has no told_at")
    return wrong


async def _reads_order(region: RegionUnderTest) -> list[str]:
    """People come in the order asked, with somebody unknown among them; records newest sample first."""
    people = [*(await region.whole()).people(), _NOBODY]
    people.reverse()
    answer = await region.batch(people)
    if [person.person_key for person in answer.people] != people:
        return ["BatchListRecords: not one entry for each subject in the order asked"]
    wrong = ["somebody unknown has records"] if answer.people[0].records else []
    for person in answer.people:
        sampled = [_sampled(record) for record in person.records]
        if sampled != sorted(sampled, reverse=True):
            wrong.append(f"records of one person: {_name(person.records[0])} is not the newest sample")
    return wrong


async def _reads_agree(region: RegionUnderTest) -> list[str]:
    """Reads give what the feed told: the current revision of each record, retracted ones included."""
    whole = await region.whole()
    if not whole.complete:
        raise Skipped(f"the feed has more than {MOST_CHANGES} changes")
    people, current = whole.people(), whole.current()
    wrong: list[str] = []
    for key, person in zip(people, (await region.batch(people)).people, strict=False):
        wrong += _compared(current[key].values(), person.records, "reads")
    return wrong


def _compared(expected: Iterable[TestRecord], given: Iterable[TestRecord], where: str) -> list[str]:
    wanted = {_revision(record): record for record in expected}
    there = {_revision(record): record for record in given}
    wrong = [f"{where}: {_name(record)} is missing" for key, record in wanted.items() if key not in there]
    wrong += [
        f"{where}: {_name(record)} is not what the feed told" for key, record in there.items() if key not in wanted
    ]
    wrong += [
        f"{where}: {_name(record)} has another content"
        for key, record in there.items()
        if key in wanted and wanted[key].content != record.content
    ]
    return wrong


async def _paging(region: RegionUnderTest) -> list[str]:
    """ListRecords page by page gives each record once."""
    whole = await region.whole()
    wrong: list[str] = []
    for key in whole.people()[:3]:
        request = ListRecordsRequest(subject=Subject(person_key=key), purpose=_PURPOSE, page_size=1)
        paged: list[tuple[str, str, int]] = []
        for _ in range(1_000):
            page = await region.ask("RecordReadService", request, ListRecordsResponse)
            paged += [_revision(record) for record in page.records]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
        (person,) = (await region.batch([key])).people
        if sorted(paged) != sorted(_revision(record) for record in person.records):
            wrong.append(
                f"ListRecords gave {len(paged)} records in pages of one, not the {len(person.records)} of a batch"
            )
    return wrong


async def _history(region: RegionUnderTest) -> list[str]:
    """A history is every revision, oldest first; an unknown record is NOT_FOUND."""
    whole = await region.whole()
    wrong: list[str] = []
    several = sorted(whole.records(), key=lambda record: -record.revision)
    for source in dict.fromkeys((record.region, record.source_id) for record in several[:10]):
        told = [record.revision for record in whole.records() if (record.region, record.source_id) == source]
        given = [record.revision for record in (await region.history(*source)).revisions]
        if given != sorted(told):
            wrong.append(f"{'/'.join(source)}: revisions {given}, the feed told {sorted(told)}")
    if problem := await _refused(region.history(region.region, "no-such-record"), "NOT_FOUND", "RECORD_NOT_FOUND"):
        wrong.append(f"an unknown record: expected NOT_FOUND RECORD_NOT_FOUND, {problem}")
    return wrong


async def _known_at(region: RegionUnderTest) -> list[str]:
    """An instant in known_at leaves out what arrived later, and the answer says which instant it was."""
    whole = await region.whole()
    people = whole.people()
    instants = sorted({_instant(record.recorded_at) for record in whole.records()})
    wrong: list[str] = []
    asked = [instants[0] - timedelta(microseconds=1), instants[len(instants) // 2]] if instants else []
    for instant in asked:
        answer = await region.batch(people, known_at=_stamp(instant))
        if _instant(answer.known_at) != instant:
            wrong.append(f"known_at {instant.isoformat()}: the answer does not say so")
        current = whole.current(instant)
        for key, person in zip(people, answer.people, strict=False):
            # In any order, and by revision alone: that reads are in order and agree is checked by itself.
            later = {_revision(record) for record in person.records} - {
                _revision(record) for record in current[key].values()
            }
            wrong += [f"known_at {instant.isoformat()}: {'/'.join(map(str, one))} came later" for one in sorted(later)]
    return wrong


async def _selection(region: RegionUnderTest) -> list[str]:
    """A selection may be ignored; what it leaves out is said, and nothing that matters is left out."""
    people = (await region.whole()).people()
    everything = {person.person_key: person for person in (await region.batch(people)).people}
    sampled = sorted(_sampled(record) for person in everything.values() for record in person.records)
    if not sampled:
        raise Skipped("nobody has records")
    since = sampled[len(sampled) // 2]
    answer = await region.batch(people, selection=RecordSelection(since=_stamp(since)))
    wrong: list[str] = []
    for person in answer.people:
        given = {_revision(record) for record in person.records}
        missing = [record for record in everything[person.person_key].records if _revision(record) not in given]
        standing = [record for record in missing if record.action != RevisionAction.REVISION_ACTION_RETRACTED]
        for record in standing:
            if _sampled(record) >= since or _reported(record) >= since:
                wrong.append(f"{_name(record)} is of the time that was asked for, and is left out")
            elif record.content.result == TestResult.TEST_RESULT_POSITIVE:
                wrong.append(f"{_name(record)} is positive, and is left out")
        counted = sum(left.count for left in person.left_out)
        at_least = any(left.at_least for left in person.left_out)
        if counted > len(standing) or (counted < len(standing) and not at_least):
            wrong.append(f"{len(standing)} records of a person are left out, {counted} are said to be")
    return wrong


def _reported(record: TestRecord) -> datetime:
    return _instant(record.content.reported_at)


async def _wrong_requests(region: RegionUnderTest) -> list[str]:
    """A wrong request is refused, with the field and the reason."""
    purposeless = BatchListRecordsRequest(subjects=[Subject(person_key=_NOBODY)])
    many = BatchListRecordsRequest(subjects=[Subject(person_key=_NOBODY)] * 1_001, purpose=_PURPOSE)
    nobody = BatchListRecordsRequest(subjects=[Subject()], purpose=_PURPOSE)
    wrong: list[str] = []
    for what, request, reason in (
        ("no purpose", purposeless, "PURPOSE_REQUIRED"),
        ("1,001 subjects", many, "BATCH_SIZE"),
        ("an empty subject", nobody, "SUBJECT_REQUIRED"),
    ):
        try:
            await region.ask("RecordReadService", request, BatchListRecordsResponse)
        except Refusal as refused:
            if refused.code != "INVALID_ARGUMENT" or reason not in refused.fields.values():
                wrong.append(f"{what}: expected INVALID_ARGUMENT with {reason}, got {refused}")
        else:
            wrong.append(f"{what}: expected INVALID_ARGUMENT with {reason}, got an answer")
    return wrong


async def _deadlines(region: RegionUnderTest) -> list[str]:
    """A stream that was left at its deadline is let go: the region answers as before."""
    whole = await region.whole()
    for _ in range(_ABANDONED // 10):
        await asyncio.gather(*(region.abandon(whole.cursor, 0.2) for _ in range(10)))
    try:
        await region.page(None, 1)
        messages = await region.watch(whole.cursor, _LIFE_SECONDS, most=1)
    except Refusal as refused:
        return [f"after {_ABANDONED} streams that were left at their deadline: {refused}"]
    if not messages:
        return [f"no word on a new stream after {_ABANDONED} were left at their deadline"]
    return []


async def _drained(region: RegionUnderTest) -> list[str]:
    """A drain ends a stream with UNAVAILABLE and DRAINING; OK would stop a follower for ever."""
    if region.drain is None:
        raise Skipped("--drain-pid says whom to send SIGTERM")
    whole = await region.whole()
    watching = asyncio.create_task(region.watch(whole.cursor, 30.0))
    await asyncio.wait({watching}, timeout=_QUIET_SECONDS)
    if watching.done():
        problem = await _refused(watching, "", "")
        raise Skipped(f"the stream had ended before the drain: {problem}")
    await region.drain()
    problem = await _refused(watching, "UNAVAILABLE", "DRAINING")
    return [f"the stream of a drained region: expected UNAVAILABLE DRAINING, {problem}"] if problem else []


Check = Callable[[RegionUnderTest], Awaitable[list[str]]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("identity", _identity),
    ("feed-order", _feed_order),
    ("feed-complete", _feed_complete),
    ("feed-resume", _feed_resume),
    ("repeated-reads", _repeated),
    ("cursor-unknown", _cursor_unknown),
    ("cursor-now", _cursor_now),
    ("watch-alive", _watch_alive),
    ("reads-order", _reads_order),
    ("reads-agree", _reads_agree),
    ("paging", _paging),
    ("history", _history),
    ("known-at", _known_at),
    ("selection", _selection),
    ("wrong-requests", _wrong_requests),
    ("deadlines", _deadlines),
    # The last: nobody is there afterwards.
    ("drained", _drained),
)


async def check_region(region: RegionUnderTest, tell: Callable[[CaseOutcome], None]) -> list[CaseOutcome]:
    """Makes every check; `tell` is given each outcome as it comes."""
    outcomes: list[CaseOutcome] = []
    for name, check in CHECKS:
        outcome = await _made(f"implements.{name}", check, region)
        outcomes.append(outcome)
        tell(outcome)
    return outcomes


async def _made(name: str, check: Check, region: RegionUnderTest) -> CaseOutcome:
    began = time.perf_counter()
    what = (check.__doc__ or "").strip()
    try:
        wrong = await check(region)
    except Skipped as skipped:
        return CaseOutcome(id=name, name=what, outcome="skipped", differences=[str(skipped)])
    except Refusal as refused:
        wrong = [f"got the error {refused}"]
    return CaseOutcome(
        id=name,
        name=what,
        outcome="failed" if wrong else "passed",
        differences=wrong[:20],
        seconds=round(time.perf_counter() - began, 3),
    )
