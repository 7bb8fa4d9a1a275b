"""Answers what supervisors ask about figures and refusals. No answer names a person."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1 import supervision_service_pb2 as pb
from hutong.verdict.v1.verdict_pb2 import PolicyRef, Verdict

from gateway.codes.codes import Codes
from gateway.codes.query import CodeQuery
from gateway.supervision.open_data import open_data
from gateway.supervision.outcomes import Measure, reason_codes
from gateway.supervision.recorder import Recorder
from gateway.supervision.store.protocol import SupervisionStore
from gateway.supervision.store.values import Cell, KeptRefusal, Place, day_text
from services.common.documents import PersonKeys
from services.common.errors import Code, NotFound, ServiceError, Text, Violation, invalid
from services.common.instants import Instant, calendar_day, to_timestamp
from services.common.requests import fields
from services.common.requests.paging import digest_of, page_size, read_token, write_token
from services.common.requests.violations import Violations, violation
from services.runtime.clock import Clock
from services.runtime.rpc.call import note_person

DEFAULT_DAYS = 7
MOST_DAYS = 400
_EPOCH = date(1970, 1, 1)
_END = Instant(2**62)
FIELDS = {
    Measure.RECOGNISED: "recognised",
    Measure.RECOGNISED_BY_NOTICE: "recognised_by_notice",
    Measure.REFUSED: "refused",
    Measure.REFUSED_AGAINST_NOTICE: "refused_against_notice",
    Measure.UNDETERMINED: "undetermined",
    Measure.REPEAT_TEST_AVOIDED: "repeat_tests_avoided",
}
"""The field of each measure in the contract."""


class Days:
    """The days that a request asks about, read and checked."""

    def __init__(self, region: str, first_day: str, last_day: str, today: int, most: int = MOST_DAYS) -> None:
        """Raises InvalidArgument (REGION_UNKNOWN, DAY_FORMAT, DAY_RANGE)."""
        violations = Violations()
        if region:
            violations.add(fields.region(region))
        last = violations.read(today, lambda: _day(last_day, "last_day")) if last_day else today
        first = violations.read(last, lambda: _day(first_day, "first_day")) if first_day else last - DEFAULT_DAYS + 1
        if not 0 <= last - first < most:
            zh, en = f"首日不得晚于末日，至多{most}天", f"The first day is not after the last; {most} days at most"
            violations.add(violation("first_day", "DAY_RANGE", zh, en))
        violations.refuse()
        self.first, self.last = first, last


def _day(text: str, field: str) -> int:
    try:
        if len(text) != 10:
            raise ValueError("another form of ISO 8601")
        return (date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        said = Text("日期形如 2022-08-05", "A day is written 2022-08-05")
        raise ServiceError(Code.INVALID_ARGUMENT, "DAY_FORMAT", said, [Violation(field, "DAY_FORMAT", said)]) from None


def figures_of(cells: Iterable[Cell]) -> Sequence[pb.RecognitionFigures]:
    """Returns the figures of each place, in the order of the cells."""
    places: dict[Place, pb.RecognitionFigures] = {}
    for cell in cells:
        place = Place(cell.day, cell.region, cell.scene)
        figures = places.get(place)
        if figures is None:
            figures = places[place] = pb.RecognitionFigures(
                region=cell.region,
                scene=cell.scene,  # type: ignore[arg-type]  # an open enum
                day=day_text(cell.day),
            )
        setattr(figures, FIELDS[Measure(cell.measure)], cell.number)
    return list(places.values())


class Supervision:
    """Answers from a store; without one it has nothing to say. Every method raises ServiceError."""

    def __init__(
        self,
        store: SupervisionStore | None,
        recorder: Recorder | None,
        codes: Codes,
        keys: PersonKeys,
        clock: Clock,
    ) -> None:
        self._kept = store
        self._recorder = recorder
        self._codes = codes
        self._keys = keys
        self._clock = clock

    async def figures(self, request: pb.ListFiguresRequest) -> pb.ListFiguresResponse:
        """Lists a page of figures."""
        days = self._days(request.region, request.first_day, request.last_day)
        size = page_size(request.page_size)
        question = digest_of(request)
        after = Place(0, "", -1)
        if request.page_token:
            after = Place(*read_token(request.page_token, question, tuple[int, str, int]))
        cells = await (await self._store()).figures(request.region, days.first, days.last, after, size + 1)
        figures = figures_of(cells)
        page, token = figures[:size], ""
        if len(figures) > size:
            place = [(cell.day, cell.region, cell.scene) for cell in cells]
            token = write_token(question, list(dict.fromkeys(place))[size - 1])
        return pb.ListFiguresResponse(figures=page, next_page_token=token)

    async def refusals(self, request: pb.ListRefusalsRequest) -> pb.ListRefusalsResponse:
        """Lists a page of refusals."""
        days = self._days(request.region, request.first_day, request.last_day)
        size = page_size(request.page_size)
        question = digest_of(request)
        before = (_END, b"")
        if request.page_token:
            shown, refusal_id = read_token(request.page_token, question, tuple[int, bytes])
            before = (Instant(shown), refusal_id)
        kept = await (await self._store()).refusals(request.region, days.first, days.last, before, size + 1)
        token = ""
        if len(kept) > size:
            token = write_token(question, (kept[size - 1].first_shown_at, kept[size - 1].refusal_id))
        return pb.ListRefusalsResponse(refusals=[_refusal(one) for one in kept[:size]], next_page_token=token)

    async def open_data(self, request: pb.StreamOpenDataRequest) -> AsyncIterator[bytes]:
        """Returns the figures of closed days as CSV, piece by piece. Raises InvalidArgument (DAY_FORMAT, DAY_RANGE)."""
        yesterday = calendar_day(self._clock()) - 1
        days = Days("", request.first_day, request.last_day, yesterday)
        if days.last > yesterday:
            raise invalid("last_day", "DAY_RANGE", "末日至迟为昨天", "The last day is yesterday at the latest")
        return open_data(await self._store(), days.first, days.last)

    async def reopen(self, request: pb.ReopenRefusalRequest, purpose: Purpose.ValueType) -> pb.ReopenRefusalResponse:
        """Judges a refused question again, at its instant and as known then. The trail says whose it was. Raises
        NotFound (REFUSAL_NOT_FOUND) and InvalidArgument (PERSON_KEY_VERSION)."""
        kept = await (await self._store()).refusal(_id(request.refusal_id))
        if kept is None:
            raise NotFound("REFUSAL_NOT_FOUND", "没有这条拒认，或已过保存期", "There is no such refusal any more")
        person = self._keys.own(kept.person_key)
        note_person(person)
        question = CodeQuery(
            person,
            kept.region,
            kept.scope,  # type: ignore[arg-type]  # as stored
            kept.at,
            known_at=kept.known_at,
            scene=kept.scene,  # type: ignore[arg-type]  # as stored
        )
        verdict = (await self._codes.show(question, purpose)).message().verdict
        return pb.ReopenRefusalResponse(refusal=_refusal(kept), verdict=verdict, same=_same(kept, verdict))

    def _days(self, region: str, first_day: str, last_day: str) -> Days:
        return Days(region, first_day, last_day, calendar_day(self._clock()))

    async def _store(self) -> SupervisionStore:
        """Returns the store, with what waits to be written in it, as far as it can be written."""
        if self._kept is None or self._recorder is None:
            text = Text("本网关未设监督统计库", "This gateway has no store of supervision")
            raise ServiceError(Code.FAILED_PRECONDITION, "NO_SUPERVISION_STORE", text)
        await self._recorder.flush()
        return self._kept


def _id(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _same(kept: KeptRefusal, verdict: Verdict) -> bool:
    return (
        kept.status == verdict.status
        and kept.notice == verdict.notice
        and kept.policy_hash == verdict.policy.content_hash
        and kept.reasons == ",".join(reason_codes(verdict))
    )


def _refusal(kept: KeptRefusal) -> pb.Refusal:
    return pb.Refusal(
        refusal_id=kept.refusal_id.hex(),
        region=kept.region,
        scene=kept.scene,  # type: ignore[arg-type]  # as stored
        scope=kept.scope,  # type: ignore[arg-type]  # as stored
        status=kept.status,  # type: ignore[arg-type]  # as stored
        notice=kept.notice,  # type: ignore[arg-type]  # as stored
        at=to_timestamp(kept.at),
        known_at=to_timestamp(kept.known_at),
        first_shown_at=to_timestamp(kept.first_shown_at),
        policy=PolicyRef(
            region=kept.region,
            policy_id=kept.policy_id,
            content_hash=kept.policy_hash,
            effective_from=to_timestamp(kept.policy_from),
        ),
        reasons=[one for one in kept.reasons.split(",") if one],
        silent_sources=[one for one in kept.silent.split(",") if one],
    )
