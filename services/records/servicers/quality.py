"""Serves LaboratoryQualityService over a store."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1 import laboratory_quality_service_pb2 as pb

from services.common.errors import Violation, invalid
from services.common.instants import HOUR, Instant, calendar_day, to_timestamp
from services.common.requests import fields
from services.common.requests.instants import read_known_at
from services.common.requests.paging import digest_of, page_size, read_token, write_token
from services.common.requests.violations import refuse, violation
from services.records.domain.correction_requests import StoredCorrectionRequest
from services.records.domain.quality import MEDIAN, P95, Figures, Key, Sample, ratio
from services.records.domain.revisions import RecordId
from services.records.laboratories import Laboratories
from services.records.quality.figures import LaboratoryFigures, Overdue
from services.records.servicers.correction import inquiry
from services.records.store.protocols.correction_requests import CorrectionRequestLog
from services.records.store.values.records import LATEST
from services.runtime.clock import Clock

MOST_DAYS = 31
OVERDUE_DAYS = 7
"""How many days are searched for overdue samples when none are named."""
MOST_OVERDUE_HOURS = 240

_EPOCH = date(1970, 1, 1)

_FIRST = Sample(Instant(-(1 << 62)), "", "", "")
"""Before every sample."""


class _Position(msgspec.Struct, array_like=True):
    """The end of a page. `known_at` stands for the knowledge of the first page."""

    known_at: int
    place: tuple[str, int]


class _SamplePosition(msgspec.Struct, array_like=True):
    """The end of a page of samples. Unless it was asked for, `known_at` only says since when samples are overdue."""

    known_at: int
    place: tuple[int, str, str]


def _day(text: str, field: str, found: list[Violation]) -> int | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # Python reads more than one notation.
    if day is None or day.isoformat() != text:
        found += violation(field, "DAY_FORMAT", "日期应如2022-08-05", "A day is written like 2022-08-05")
        return None
    return (day - _EPOCH).days


def day_text(day: int) -> str:
    """Returns a calendar day as it is written: 2022-08-05."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def _days(days: pb.DayRange, known_at: Instant, default_length: int) -> tuple[int, int]:
    found: list[Violation] = []
    first, last = _day(days.first, "days.first", found), _day(days.last, "days.last", found)
    unnamed = first is None and last is None
    last = calendar_day(known_at) if last is None else last
    first = last - (default_length - 1 if unnamed else 0) if first is None else first
    if not found and last < first:
        found += violation("days", "DAYS_ORDER", "起始日不得晚于截止日", "The first day is not after the last")
    if not found and last - first >= MOST_DAYS:
        found += violation("days", "DAYS_TOO_MANY", f"一次最多{MOST_DAYS}天", f"At most {MOST_DAYS} days at once")
    refuse(found)
    return first, last


def _quality(key: Key, figures: Figures) -> pb.LaboratoryQuality:
    laboratory, day = key
    return pb.LaboratoryQuality(
        laboratory=laboratory,
        day=day_text(day),
        records=figures.records,
        retracted=figures.retracted,
        amended=figures.amended,
        reported=figures.reported,
        positive=figures.positive,
        waiting=figures.waiting,
        overdue=figures.overdue,
        timed=figures.turnarounds.total(),
        turnaround_median_seconds=figures.turnaround(MEDIAN),
        turnaround_p95_seconds=figures.turnaround(P95),
        retraction_rate=ratio(figures.retracted, figures.records),
        amendment_rate=ratio(figures.amended, figures.records),
        positive_rate=ratio(figures.positive, figures.reported),
        discordant_pairs=figures.discordant.total(),
        discordant_with=[
            pb.Discordance(laboratory=other, pairs=pairs) for other, pairs in sorted(figures.discordant.items())
        ],
    )


def _overdue(
    sample: Sample, known_at: Instant, hours: int, contact: str, inquired: StoredCorrectionRequest | None
) -> pb.OverdueSample:
    return pb.OverdueSample(
        region=sample.region,
        source_id=sample.source_id,
        laboratory=sample.laboratory,
        sampled_at=to_timestamp(sample.placed_at),
        overdue_by_hours=(known_at - sample.placed_at) / HOUR - hours,
        contact=contact,
        inquiry=None if inquired is None else inquiry(inquired),
    )


class QualityServicer:
    """Serves hutong.records.v1.LaboratoryQualityService. `overdue_hours` stands in where a request names none."""

    def __init__(
        self,
        laboratory_figures: LaboratoryFigures,
        laboratories: Laboratories,
        requests: CorrectionRequestLog,
        overdue_hours: int,
        clock: Clock,
    ) -> None:
        self._laboratory_figures = laboratory_figures
        self._laboratories = laboratories
        self._requests = requests
        self._overdue_hours = overdue_hours
        self._clock = clock

    def _hours(self, asked: int) -> int:
        if not 0 <= asked <= MOST_OVERDUE_HOURS:
            raise invalid(
                "overdue_hours",
                "OVERDUE_HOURS",
                f"逾期时限为1至{MOST_OVERDUE_HOURS}小时",
                f"1 to {MOST_OVERDUE_HOURS} hours",
            )
        return asked or self._overdue_hours

    def _known_at(self, request: Message, timestamp: Timestamp) -> Instant:
        return read_known_at(timestamp) if request.HasField("known_at") else self._clock()

    async def GetLaboratoryQuality(self, request: pb.GetLaboratoryQualityRequest) -> pb.GetLaboratoryQualityResponse:
        """Returns one laboratory's figures by day."""
        refuse(fields.laboratory_id(request.laboratory))
        hours = self._hours(request.overdue_hours)
        known_at = self._known_at(request, request.known_at)
        days = _days(request.days, known_at, 1)
        if request.HasField("known_at"):
            summary = await self._laboratory_figures.summary(*days, known_at, hours)
        else:
            summary = await self._laboratory_figures.live(*days, known_at, hours, request.laboratory)
        return pb.GetLaboratoryQualityResponse(
            days=[_quality(*item) for item in summary.of_laboratory(request.laboratory)],
            known_at=to_timestamp(summary.known_at),
        )

    async def ListLaboratoryQuality(self, request: pb.ListLaboratoryQualityRequest) -> pb.ListLaboratoryQualityResponse:
        """Returns all laboratories' figures, a page at a time."""
        size, hours = page_size(request.page_size), self._hours(request.overdue_hours)
        known_at, after = self._known_at(request, request.known_at), ("", 0)
        question = digest_of(request)
        if request.page_token:
            position = read_token(request.page_token, question, _Position)
            known_at, after = Instant(position.known_at), position.place
        days = _days(request.days, known_at, 1)
        if request.page_token or request.HasField("known_at"):
            summary = await self._laboratory_figures.summary(*days, known_at, hours)
        else:
            summary = await self._laboratory_figures.live(*days, known_at, hours)
            known_at = summary.known_at
        keys = sorted(key for key in summary.figures if key > after)
        more = len(keys) > size
        return pb.ListLaboratoryQualityResponse(
            quality=[_quality(key, summary.figures[key]) for key in keys[:size]],
            next_page_token=write_token(question, _Position(known_at, keys[size - 1])) if more else "",
            known_at=to_timestamp(known_at),
        )

    async def ListOverdueSamples(self, request: pb.ListOverdueSamplesRequest) -> pb.ListOverdueSamplesResponse:
        """Returns overdue samples, oldest first, a page at a time."""
        refuse(fields.laboratory_id(request.laboratory) if request.laboratory else ())
        size, hours = page_size(request.page_size), self._hours(request.overdue_hours)
        known_at, after = self._known_at(request, request.known_at), _FIRST
        question = digest_of(request)
        if request.page_token:
            position = read_token(request.page_token, question, _SamplePosition)
            known_at, after = Instant(position.known_at), Sample(Instant(position.place[0]), *position.place[1:], "")
        asked = *_days(request.days, known_at, OVERDUE_DAYS), known_at, hours, request.laboratory, after, size + 1
        if request.HasField("known_at"):
            samples, as_of = Overdue(await self._laboratory_figures.overdue(*asked), known_at)
        else:
            samples, as_of = await self._laboratory_figures.overdue_now(*asked)
        token = ""
        if len(samples) > size:
            end = samples[size - 1]
            token = write_token(question, _SamplePosition(known_at, end[:3]))
        return pb.ListOverdueSamplesResponse(
            samples=await self._overdue_messages(samples[:size], known_at, hours),
            next_page_token=token,
            known_at=to_timestamp(known_at),
            as_of=to_timestamp(as_of),
        )

    async def _overdue_messages(
        self, samples: Sequence[Sample], known_at: Instant, hours: int
    ) -> list[pb.OverdueSample]:
        if not samples:
            return []
        await self._laboratories.refresh_to_end()
        contacts = {
            (one.laboratory.region, one.laboratory.laboratory): one.laboratory.contact
            for one in self._laboratories.of({sample.laboratory for sample in samples}, LATEST)
        }
        records = [RecordId(sample.region, sample.source_id) for sample in samples]
        # The newest of each record comes last.
        inquired = {request.id: request for request in await self._requests.late_result_requests(records)}
        return [
            _overdue(
                sample, known_at, hours, contacts.get((sample.region, sample.laboratory), ""), inquired.get(record)
            )
            for sample, record in zip(samples, records, strict=True)
        ]
