"""Laboratory files sent to a real records service: what becomes of every kind of row, and of a second run."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest, StreamRecordsResponse

from cli.importing.batches import BATCH_ROWS, Destination
from cli.importing.journal import Journal
from cli.importing.opening import open_laboratory_file
from cli.importing.report import HEADER, rejection_report
from cli.importing.sending import IN_FLIGHT, RecordIntake, StoppedError, send
from cli.importing.tally import Tally
from cli.laboratory_files.refusals import Refusal
from cli.laboratory_files.tables.reader import CsvReader
from cli.mesh import wiring
from cli.mesh.plan import Plan, ports_from
from services.common.errors import Unavailable
from tests.testkit.builders.laboratory_files import CHINESE, LABS, PERSON, good_lines, row
from tests.testkit.calls import local
from tests.testkit.identities import records_identity
from tests.testkit.secret import SECRET

HUNAN = Destination("430000", "430000-test", "430102")


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[RecordIntake]:
    """The intake of Hunan's store, in this process."""
    plan = Plan(tmp_path, SECRET, ports_from(9000))
    service = wiring.records(plan, "430000", {})
    async with service.running():
        yield local("records", "test", service.bindings)


@dataclass
class Imported:
    """The result of an import."""

    tally: Tally
    refusals: list[Refusal]

    def reasons(self) -> dict[int, list[tuple[str, str]]]:
        """Row to column and reason."""
        return {row.row: [(found.field, found.reason) for found in row.violations] for row in self.refusals}


async def import_lines(writer: RecordIntake, lines: Iterable[str], destination: Destination = HUNAN) -> Imported:
    """Sends these lines."""
    refusals: list[Refusal] = []
    kept = list(lines)
    tally = await send(CsvReader(lambda: kept), writer, destination, report=refusals.extend)
    return Imported(tally, refusals)


async def import_path(writer: RecordIntake, path: Path) -> Imported:
    """Sends this file."""
    refusals: list[Refusal] = []
    with open_laboratory_file(path) as opened:
        tally = await send(opened.rows, writer, HUNAN, report=refusals.extend)
    return Imported(tally, refusals)


def counts(tally: Tally) -> dict[str, int]:
    """The counts that are not zero."""
    return {name: count for name in tally.__slots__ if (count := getattr(tally, name))}


# The laboratory's dirty file, row by row: what docs/laboratory-files.md decides.
DIRTY: dict[str, tuple[str, str] | None] = {
    "identical duplicate": None,
    "same id, other content": ("样本编号", "RECORD_CONFLICT"),
    "too few columns": ("", "ROW_SHORT"),
    "a column too many": ("", "ROW_LONG"),
    "no sample id": ("样本编号", "SAMPLE_ID_REQUIRED"),
    "formula": ("样本编号", "SAMPLE_ID_FORMULA"),
    "wrong check digit": ("证件号码", "DOCUMENT_NUMBER_CHECK"),
    "impossible birth date": ("证件号码", "DOCUMENT_NUMBER_BIRTH_DATE"),
    "no document number": ("证件号码", "DOCUMENT_NUMBER_REQUIRED"),
    "unknown document type": ("证件类型", "DOCUMENT_TYPE_UNKNOWN"),
    "month 13": ("采样时间", "TIME_IMPOSSIBLE"),
    "year 2099": ("采样时间", "SAMPLED_IN_FUTURE"),
    "report before sample": ("报告时间", "REPORTED_BEFORE_SAMPLED"),
    "unknown result word": ("检测结果", "RESULT_UNKNOWN"),
    "pool of unknown size": ("检测方式", "TUBE_POOL_SIZE_MISSING"),
    "negative without report time": ("报告时间", "REPORTED_AT_REQUIRED"),
    "no sampling time": None,
    "trailing blank": None,
    "full-width digit": None,
    "slashes": None,
}


EXAMPLES = {
    "identical duplicate": row(id="D0"),
    "same id, other content": row(id="D0", result="阳性"),
    "too few columns": "D2,某人,居民身份证",
    "a column too many": row() + ",多出一列",
    "no sample id": row(id=""),
    "formula": row(id='"=HYPERLINK(""x"")"'),
    "wrong check digit": row(number=PERSON[:-1] + ("0" if PERSON[-1] != "0" else "1")),
    "impossible birth date": row(number="43010219991332001X"),
    "no document number": row(number=""),
    "unknown document type": row(type="学生证"),
    "month 13": row(sampled="2022-13-05 10:00"),
    "year 2099": row(sampled="2099-01-01 10:00", reported="2099-01-02 10:00"),
    "report before sample": row(reported="2022-08-01 01:00"),
    "unknown result word": row(result="阴"),
    "pool of unknown size": row(tube="混检"),
    "negative without report time": row(reported=""),
    "no sampling time": row(sampled=""),
    "trailing blank": row(number=PERSON + " "),
    "full-width digit": row(number="４" + PERSON[1:]),
    "slashes": row(sampled="2022/8/5 9:05"),
}


@pytest.mark.parametrize("name", DIRTY)
async def test_each_special_row_is_decided_by_name(writer, name):
    """The decision of docs/laboratory-files.md on this kind of row, the store's share of the rules included."""
    imported = await import_lines(writer, [CHINESE, row(id="D0"), EXAMPLES[name]])
    expected = DIRTY[name]
    assert imported.reasons().get(3, [None])[0] == expected
    assert imported.tally.rows == 2
    assert imported.tally.good == (1 if expected else 2)
    assert imported.tally.unchanged == (1 if name == "identical duplicate" else 0)


def test_the_documentation_decides_what_the_table_decides(repository):
    """Every reason of the table stands in docs/laboratory-files.md."""
    page = (repository / "docs" / "laboratory-files.md").read_text(encoding="utf-8")
    assert [reason for decision in DIRTY.values() if decision for _, reason in [decision] if reason not in page] == []


async def test_a_file_with_every_kind_of_wrong_row(writer):
    """Of its 44 rows, 27 are good, one of them a duplicate; 16 are refused, one is a conflict, each for its reason; the
    row of totals is none."""
    imported = await import_path(writer, LABS / "dirty-gb18030.csv")
    assert counts(imported.tally) == {"created": 25, "unchanged": 1, "conflict": 1, "refused": 3, "unreadable": 14}
    first = {number: violations[0] for number, violations in imported.reasons().items()}
    assert first == {
        13: ("证件号码", "DOCUMENT_NUMBER_REQUIRED"),
        14: ("", "ROW_SHORT"),
        15: ("样本编号", "SAMPLE_ID_REQUIRED"),
        16: ("证件号码", "DOCUMENT_NUMBER_BIRTH_DATE"),
        17: ("报告时间", "REPORTED_AT_REQUIRED"),
        18: ("样本编号", "RECORD_CONFLICT"),
        19: ("证件类型", "DOCUMENT_TYPE_UNKNOWN"),
        20: ("采样时间", "SAMPLED_IN_FUTURE"),
        21: ("检测方式", "TUBE_POOL_SIZE_MISSING"),
        22: ("证件号码", "DOCUMENT_NUMBER_CHECK"),
        23: ("检测结果", "RESULT_UNKNOWN"),
        24: ("报告时间", "REPORTED_BEFORE_SAMPLED"),
        25: ("样本编号", "SAMPLE_ID_FORMULA"),
        26: ("采样时间", "TIME_IMPOSSIBLE"),
        27: ("", "ROW_LONG"),
        32: ("", "ROW_QUOTES"),
        33: ("证件号码", "NUMBER_CHANGED_BY_SPREADSHEET"),
        34: ("采样时间", "TIME_SERIAL_NUMBER"),
    }
    assert {reason for decision in DIRTY.values() if decision for _, reason in [decision]} <= {
        reason for _, reason in first.values()
    }


@pytest.mark.parametrize("name", ["hunan-gb18030.csv", "jiangsu-utf8-bom.csv", "beijing-english.csv"])
async def test_the_clean_files_twice(writer, name):
    """All 60 rows of each file are stored; a second run finds every one of them unchanged."""
    first = await import_path(writer, LABS / name)
    second = await import_path(writer, LABS / name)
    assert counts(first.tally) == {"created": 60}
    assert counts(second.tally) == {"unchanged": 60}


async def test_batches_keep_the_rows_in_order(writer):
    """Rows of several batches are all stored once; a conflict far from its first row is still a conflict."""
    lines = list(good_lines(2 * BATCH_ROWS + 7))
    lines.append(lines[1].replace("阴性", "阳性"))
    imported = await import_lines(writer, lines)
    assert counts(imported.tally) == {"created": 2 * BATCH_ROWS + 7, "conflict": 1}
    assert imported.reasons() == {len(lines): [("样本编号", "RECORD_CONFLICT")]}


async def test_a_result_completes_its_sampling_record(writer):
    """The sampling record of yesterday's file becomes the result of today's, under the same id."""
    await import_lines(writer, [CHINESE, row(result="", reported="")])
    imported = await import_lines(writer, [CHINESE, row()])
    assert counts(imported.tally) == {"result_added": 1}


async def test_nothing_goes_to_another_store_than_the_regions_or_the_nations(writer):
    """It says whose it is; not a row was sent."""
    with pytest.raises(StoppedError) as stopped:
        await import_lines(writer, good_lines(1), Destination("110000", "110000-test", "110000"))
    assert ("WRONG_STORE", 0) == (stopped.value.error.reason, stopped.value.tally.rows)


async def test_an_import_goes_on_with_the_store_that_it_began_with(tmp_path, writer):
    """Another one in its place, such as a backup that was restored under another feed, is not meant."""
    plan = Plan(tmp_path / "other", SECRET, ports_from(9000))
    plan.data.mkdir()
    other = wiring.records(plan, "430000", {})
    async with other.running():
        turns = iter([Flaky(writer, 1), local("records", "test", other.bindings)])

        class Changing:
            async def StreamRecords(self, requests):
                async for response in next(turns).StreamRecords(requests):
                    yield response

        with pytest.raises(StoppedError) as stopped:
            await import_lines(Changing(), good_lines(3 * BATCH_ROWS))
    assert "FEED_CHANGED" == stopped.value.error.reason


class Flaky:
    """Forwards to a store, and breaks a stream after so many answers: the next was committed and is lost."""

    def __init__(self, writer: RecordIntake, *answers: int) -> None:
        self._writer = writer
        self._answers = list(answers)
        self.sessions: list[str] = []

    async def StreamRecords(
        self, requests: AsyncIterator[StreamRecordsRequest]
    ) -> AsyncIterator[StreamRecordsResponse]:
        """Stores, and answers or not."""

        async def noted() -> AsyncIterator[StreamRecordsRequest]:
            async for request in requests:
                if request.session_id:
                    self.sessions.append(request.session_id)
                yield request

        left = self._answers.pop(0) if self._answers else None
        async for response in self._writer.StreamRecords(noted()):
            if left == 0:
                raise Unavailable("SERVICE_UNREACHABLE", "无法连接", "cannot be reached")
            left = None if left is None else left - 1
            yield response


@pytest.fixture
def patient(monkeypatch):
    """Retries without pauses."""
    monkeypatch.setattr("cli.importing.sending.FIRST_PAUSE", 0.0)
    monkeypatch.setattr("cli.importing.sending.ATTEMPTS", 4)


async def test_a_lost_answer_is_asked_for_again(writer, patient):
    """A batch whose acknowledgement was lost is sent again in the same session: nothing is lost and nothing doubles."""
    flaky = Flaky(writer, 2, 1, 0)
    imported = await import_lines(flaky, good_lines(3 * BATCH_ROWS))
    assert imported.tally.rows == imported.tally.good == 3 * BATCH_ROWS
    assert len(flaky.sessions) == 4
    assert len(set(flaky.sessions)) == 1
    again = await import_lines(writer, good_lines(3 * BATCH_ROWS))
    assert counts(again.tally) == {"unchanged": 3 * BATCH_ROWS}


class Leaving:
    """Forwards to a store, and ends the first stream before its second batch is acknowledged. As gRPC does when a
    server ends a stream, it leaves the requests where they wait, neither closed nor cancelled."""

    def __init__(self, writer: RecordIntake) -> None:
        self._writer = writer
        self._left: list[AsyncIterator[StreamRecordsRequest]] = []
        self._reading: list[asyncio.Future[StreamRecordsRequest]] = []

    async def StreamRecords(
        self, requests: AsyncIterator[StreamRecordsRequest]
    ) -> AsyncIterator[StreamRecordsResponse]:
        """Stores, but for what the first stream has on the way."""
        if self._left:
            async for response in self._writer.StreamRecords(requests):
                yield response
            return
        self._left.append(requests)
        await anext(requests)
        yield StreamRecordsResponse(batch=0, identity=records_identity("430000"))
        for _ in range(IN_FLIGHT):
            await anext(requests)
        self._reading.append(asyncio.ensure_future(anext(requests)))
        await asyncio.sleep(0)
        raise Unavailable("SERVICE_UNREACHABLE", "无法连接", "cannot be reached")


async def test_a_stream_that_was_ended_takes_nothing_from_the_next(writer, patient):
    """Requests of an ended stream that still wait for room give way to those of the next one: no batch is missing."""
    imported = await import_lines(Leaving(writer), good_lines(6 * BATCH_ROWS))
    assert counts(imported.tally) == {"created": 6 * BATCH_ROWS}


class Slow:
    """Acknowledges the only batch of a file when it has heard nothing of the next for a while."""

    def __init__(self, taken: Callable[[], int]) -> None:
        self._taken = taken
        self.ahead = 0

    async def StreamRecords(
        self, requests: AsyncIterator[StreamRecordsRequest]
    ) -> AsyncIterator[StreamRecordsResponse]:
        """Stores nothing."""
        await anext(requests)
        yield StreamRecordsResponse(batch=0, identity=records_identity("430000"))
        await anext(requests)
        following = asyncio.ensure_future(anext(requests, None))
        for _ in range(100):
            await asyncio.sleep(0)
        self.ahead = self._taken()
        yield StreamRecordsResponse(batch=1, created=1)
        assert await following is None


async def test_rows_that_cannot_be_read_wait_for_the_store_as_others_do():
    """However many of them follow each other, no more of a file is in memory than of one whose rows are good."""
    taken = 0
    wrong = 100_000

    def lines() -> Iterator[str]:
        nonlocal taken
        yield from good_lines(1)
        for _ in range(wrong):
            taken += 1
            yield "x"

    slow = Slow(lambda: taken)
    tally = await send(CsvReader(lines), slow, HUNAN, report=lambda refusals: None)
    assert counts(tally) == {"created": 1, "unreadable": wrong}
    # The file is looked through as a whole before its first row is sent.
    assert wrong < slow.ahead <= wrong + 5_000 * IN_FLIGHT


async def test_an_unreachable_mesh_stops_the_import(writer, patient):
    """What was acknowledged before is counted; another run stores the rest."""
    flaky = Flaky(writer, 2, 0, 0, 0)
    with pytest.raises(StoppedError) as stopped:
        await import_lines(flaky, good_lines(2 * BATCH_ROWS))
    assert counts(stopped.value.tally) == {"created": BATCH_ROWS}
    again = await import_lines(writer, good_lines(2 * BATCH_ROWS))
    assert again.tally.unchanged + again.tally.created == 2 * BATCH_ROWS


def written(path: Path, lines: Iterable[str]) -> Path:
    """A file of these lines."""
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


async def sent(
    writer: RecordIntake, path: Path, stop_after: int | None = None, destination: Destination = HUNAN
) -> tuple[Imported, Journal]:
    """Sends a file with its journal, until so many batches were acknowledged."""
    refusals: list[Refusal] = []
    stop = asyncio.Event()
    seen = 0

    def progress(tally: Tally) -> None:
        nonlocal seen
        seen += 1
        if seen == stop_after:
            stop.set()

    journal = Journal(path, destination)
    with open_laboratory_file(path) as opened:
        tally = await send(
            opened.rows, writer, destination, report=refusals.extend, progress=progress, journal=journal, stop=stop
        )
    return Imported(tally, refusals), journal


async def test_a_stopped_import_goes_on_where_it_stood(writer, tmp_path):
    """Told to stop, it ends what is under way; run again it goes on, and the counts and the report are of the whole."""
    lines = list(good_lines(6 * BATCH_ROWS))
    lines[10] = lines[10].replace("阴性", "阴")
    lines.insert(BATCH_ROWS + 20, row(id="F1", sampled="2099-01-01 10:00"))
    lines.append(lines[1].replace("阴性", "阳性"))
    path = written(tmp_path / "large.csv", lines)
    first, journal = await sent(writer, path, stop_after=1)
    assert 0 < first.tally.rows < len(lines) - 1
    assert journal.path.exists()
    second, journal = await sent(writer, path)
    assert journal.resumes
    assert counts(second.tally) == {"created": 6 * BATCH_ROWS - 1, "conflict": 1, "refused": 1, "unreadable": 1}
    assert list(second.reasons()) == [11, BATCH_ROWS + 21, len(lines)]
    assert not journal.path.exists()


async def test_the_journal_outlasts_a_store_that_comes_back_late(writer, patient, tmp_path):
    """A store that is lost, not there at the next attempt and back at the third: what the journal says of the batches
    before that is kept, and in the end the counts and the report are of the whole file."""
    lines = list(good_lines(6 * BATCH_ROWS))
    lines[10] = row(id="F1", sampled="2099-01-01 10:00")
    path = written(tmp_path / "large.csv", lines)
    first, _ = await sent(Flaky(writer, 2, 0), path, stop_after=2)
    assert 0 < first.tally.rows < len(lines) - 1
    assert first.tally.rows == BATCH_ROWS * len(list(Journal(path, HUNAN).acknowledged()))
    second, _ = await sent(writer, path)
    assert (6 * BATCH_ROWS - 1, 1) == (second.tally.good, second.tally.refused)
    assert list(second.reasons()) == [11]


async def test_a_journal_of_another_file_is_not_believed(writer, tmp_path):
    """After the file was changed, or for another destination, everything is sent."""
    path = written(tmp_path / "changed.csv", good_lines(3 * BATCH_ROWS))
    await sent(writer, path, stop_after=1)
    changed = written(path, good_lines(3 * BATCH_ROWS + 1))
    assert not Journal(changed, HUNAN).resumes
    imported, _ = await sent(writer, changed)
    assert imported.tally.rows == 3 * BATCH_ROWS + 1


async def test_a_store_that_forgot_is_sent_everything_again(writer, tmp_path):
    """A session that the store does not know, because it was restored from a backup, is believed to hold nothing."""
    path = written(tmp_path / "restored.csv", good_lines(3 * BATCH_ROWS))
    _, journal = await sent(writer, path, stop_after=1)
    text = journal.path.read_text()
    journal.path.write_text(text.replace(journal.session, str(uuid4())))
    imported, _ = await sent(writer, path)
    assert imported.tally.good == 3 * BATCH_ROWS
    assert imported.tally.unchanged >= BATCH_ROWS


async def test_a_line_of_the_journal_that_was_cut_off_counts_for_nothing(writer, tmp_path):
    """Killed while it wrote, the journal ends in half a line: that batch is sent again, and nothing doubles."""
    path = written(tmp_path / "cut.csv", good_lines(4 * BATCH_ROWS))
    _, journal = await sent(writer, path, stop_after=2)
    journal.path.write_text(journal.path.read_text()[:-5])
    imported, _ = await sent(writer, path)
    assert imported.tally.good == imported.tally.rows == 4 * BATCH_ROWS
    assert imported.tally.unchanged == BATCH_ROWS


async def test_the_report_tells_rows_and_reasons_and_nothing_of_the_content(writer, tmp_path):
    """The report is a CSV that spreadsheets read, in the file's order, without a document number or a sample id."""
    wrong = PERSON[:-1] + ("0" if PERSON[-1] != "0" else "1")
    lines = [CHINESE, row(id="X1", number=wrong), row(id="X2", sampled="2099-01-01 10:00"), row(id="X3", tube="混检")]
    path = tmp_path / "report.csv"
    with rejection_report(path, always=False) as report:
        await send(CsvReader(lambda: lines), writer, HUNAN, report=report.add)
    text = path.read_text(encoding="utf-8-sig")
    rows: list[dict[str, Any]] = list(csv.DictReader(text.splitlines()))
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert tuple(rows[0]) == HEADER
    assert [line["row"] for line in rows] == ["2", "3", "3", "4"]
    assert all(line["message_zh"] and line["message_en"] for line in rows)
    assert not any(secret in text for secret in (wrong, PERSON, "X1", "某人")), json.dumps(rows, ensure_ascii=False)


def test_no_report_is_left_without_refused_rows(tmp_path):
    """A clean file leaves no report; an older report is replaced by one that says that nothing is refused."""
    path = tmp_path / "report.csv"
    with rejection_report(path, always=False):
        pass
    assert list(tmp_path.iterdir()) == []
    path.write_text("old", encoding="utf-8")
    with rejection_report(path, always=False):
        pass
    assert path.read_text(encoding="utf-8-sig").strip() == ",".join(HEADER)
    assert list(tmp_path.iterdir()) == [path]
