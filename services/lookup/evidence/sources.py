"""The record stores, and how one is asked: in time, in chunks, and with an answer whatever happens."""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Purpose
from hutong.lookup.v1.evidence_service_pb2 import SourceStatus
from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import TestRecord
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsRequest,
    BatchListRecordsResponse,
    LeftOutRecords,
    RecordSelection,
)
from msgspec.structs import replace

from services.common.documents import PERSON_KEY_BYTES
from services.common.errors import Code, ServiceError
from services.common.instants import Instant, from_timestamp, to_timestamp
from services.lookup.evidence.outages import Outages
from services.lookup.evidence.source_health import source_breaker
from services.lookup.metrics import QUESTIONS, SECONDS
from services.lookup.ports import RecordsSource
from services.runtime.resilience.breaker import Breaker, Probe
from services.runtime.rpc.call import enter, leave, within
from services.runtime.telemetry.trace import SpanKind, span

log = logging.getLogger("hutong.lookup.source")

_NEVER = Instant(0)

PROBE_SECONDS = 0.7
"""How long one probe may take. With the pause between two it stays below a second: so soon is a source that came back
noticed."""

CHUNK = 1000
"""The most persons BatchListRecords takes."""

OK = SourceStatus.SOURCE_STATUS_OK
UNREACHABLE = SourceStatus.SOURCE_STATUS_UNREACHABLE

NOBODY = bytes(PERSON_KEY_BYTES)
"""The key a probe asks for: no document has it, so no person's data is touched."""


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """The answer of one source, or its silence. People without records are not in `records`; `behind` are the regions
    it follows but has not heard of lately. A source that did not answer has said nothing."""

    source: str
    status: SourceStatus.ValueType
    as_of: Timestamp | None = None
    known_at: Instant = _NEVER
    records: Mapping[bytes, Sequence[TestRecord]] = field(default_factory=dict)
    laboratories: Sequence[Sequence[Laboratory]] = ()
    behind: Sequence[str] = ()
    left_out: Mapping[bytes, Sequence[LeftOutRecords]] = field(default_factory=dict)
    """What a selection left out, of people of whom something was."""


class SourceQuestion(NamedTuple):
    """The terms on which all sources of a batch are asked: as known at an instant or, without one, at `asked_at`, now.
    Those that are down at that instant are not asked. Without a `selection` everything is asked for."""

    purpose: Purpose.ValueType
    known_at: Instant | None
    asked_at: Instant | None = None
    down: Collection[str] = ()
    selection: RecordSelection | None = None


class MalformedAnswerError(Exception):
    """A source answered something else than it was asked."""


class Sources:
    """All record stores of the mesh, by name: region codes and "nation"."""

    def __init__(self, stores: Mapping[str, RecordsSource], patience: float, outages: Outages) -> None:
        """`patience` is what one store may take at the most, in seconds; outages are told to `outages`."""
        self._stores = dict(stores)
        self._patience = patience
        self._health = {name: source_breaker(name, self._prober(name), outages) for name in stores}

    def __contains__(self, source: str) -> bool:
        """Tells if there is such a store."""
        return source in self._stores

    async def ask(self, source: str, keys: Sequence[bytes], asking: SourceQuestion, limit: float) -> SourceAnswer:
        """Asks a source about these persons. It has `limit` seconds and never makes the caller wait longer.

        Whatever goes wrong, the answer says UNREACHABLE and the log why: nothing follows about what the source holds.
        """
        store = self._stores.get(source)
        if store is None or limit <= 0:
            return SourceAnswer(source, UNREACHABLE)
        health = self._health[source]
        attributes: dict[str, str | int | bool] = {"source": source, "people": len(keys)}
        with span("lookup", f"records {source}", SpanKind.CLIENT, attributes=attributes) as here:
            if health.down or source in asking.down:
                here.set(status="KNOWN_DOWN")
                QUESTIONS.labels(source, "KNOWN_DOWN").inc()
                return SourceAnswer(source, UNREACHABLE)
            started = time.monotonic()
            token = enter(replace(within(limit), trace=here.trace))
            try:
                async with asyncio.timeout(limit):
                    answer = await self._answer(store, source, keys, asking)
                health.answered()
            except Exception as error:  # noqa: BLE001  # nothing that goes wrong with one source may sink the others
                cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
                self._failed(health, source, cause, limit)
                here.fail(_reason(cause))
                answer = SourceAnswer(source, UNREACHABLE)
            finally:
                leave(token)
            status = SourceStatus.Name(answer.status).removeprefix("SOURCE_STATUS_")
            here.set(status=status)
        QUESTIONS.labels(source, status).inc()
        SECONDS.labels(source).observe(time.monotonic() - started)
        return answer

    async def close(self) -> None:
        """Ends what goes on in the background."""
        for health in self._health.values():
            await health.close()

    async def _answer(
        self, store: RecordsSource, source: str, keys: Sequence[bytes], asking: SourceQuestion
    ) -> SourceAnswer:
        chunks = [keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK)]
        requests = [_request(chunk, asking) for chunk in chunks]
        if len(requests) == 1:
            responses = [await store.BatchListRecords(requests[0])]
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(store.BatchListRecords(request)) for request in requests]
            responses = [task.result() for task in tasks]
        records: dict[bytes, Sequence[TestRecord]] = {}
        left_out: dict[bytes, Sequence[LeftOutRecords]] = {}
        for chunk, response in zip(chunks, responses, strict=True):
            _read(chunk, response, records, left_out)
        told = [from_timestamp(response.known_at) for response in responses if response.HasField("known_at")]
        laboratories = [response.laboratories for response in responses]
        behind = sorted({region for response in responses for region in response.behind})
        return SourceAnswer(
            source, OK, _as_of(responses), max(told, default=_NEVER), records, laboratories, behind, left_out
        )

    def _failed(self, health: Breaker, source: str, error: Exception, limit: float) -> None:
        extra = {"source": source, "reason": _reason(error)}
        late = isinstance(error, TimeoutError) or getattr(error, "code", None) is Code.DEADLINE_EXCEEDED
        if late:
            health.timed_out(patient=limit >= self._patience / 2)
        elif getattr(error, "code", None) is Code.UNAVAILABLE:
            health.failed()
        # Any other error may be this batch's own fault and says nothing of the next one.
        if late or isinstance(error, (ServiceError, MalformedAnswerError)):
            log.warning("source did not answer", extra=extra)
        else:
            log.error("source did not answer", extra=extra, exc_info=error)

    def _prober(self, source: str) -> Probe:
        store = self._stores[source]
        request = _request([NOBODY], SourceQuestion(Purpose.PURPOSE_SUPERVISION, None))

        async def probe() -> bool:
            call = within(PROBE_SECONDS)
            # Probes go on for as long as an outage does: no traces of them.
            token = enter(replace(call, trace=replace(call.trace, sampled=False)))
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await store.BatchListRecords(request)
            except Exception:  # noqa: BLE001  # still down, in whatever way
                return False
            finally:
                # The next probe gets time of its own, not what this one has left.
                leave(token)
            return True

        return probe


def _reason(error: Exception) -> str:
    if isinstance(error, MalformedAnswerError):
        return "MALFORMED_ANSWER"
    if isinstance(error, TimeoutError):
        return "DEADLINE_EXCEEDED"
    return error.reason if isinstance(error, ServiceError) else type(error).__name__


def _request(keys: Sequence[bytes], asking: SourceQuestion) -> BatchListRecordsRequest:
    request = BatchListRecordsRequest(purpose=asking.purpose)
    add = request.subjects.add
    for key in keys:
        add(person_key=key)
    if asking.known_at is not None:
        request.known_at.CopyFrom(to_timestamp(asking.known_at))
    elif asking.asked_at is not None:
        request.asked_at.CopyFrom(to_timestamp(asking.asked_at))
    if asking.selection is not None:
        request.selection.CopyFrom(asking.selection)
    return request


def _read(
    keys: Sequence[bytes],
    response: BatchListRecordsResponse,
    records: dict[bytes, Sequence[TestRecord]],
    left_out: dict[bytes, Sequence[LeftOutRecords]],
) -> None:
    people = response.people
    if len(people) != len(keys):
        raise MalformedAnswerError(f"{len(people)} people for {len(keys)} subjects")
    for key, person in zip(keys, people, strict=True):
        # An answer in another order would attribute tests to the wrong people.
        if person.person_key != key:
            raise MalformedAnswerError("people in another order than the subjects")
        found = person.records
        if found:
            records[key] = found
            if person.left_out:
                left_out[key] = person.left_out


def _as_of(responses: Sequence[BatchListRecordsResponse]) -> Timestamp | None:
    if not all(response.HasField("as_of") for response in responses):
        return None
    return min((response.as_of for response in responses), key=lambda instant: (instant.seconds, instant.nanos))
