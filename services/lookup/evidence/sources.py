"""The record stores, and how one is asked: in time, in parts, and with an answer whatever happens."""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.lookup.v1.evidence_service_pb2 import SourceStatus
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsAtInstantsRequest,
    BatchListRecordsRequest,
    BatchListRecordsResponse,
    KnownLaboratories,
)
from msgspec.structs import replace

from services.common.errors import Code, ServiceError
from services.common.identities import REASONS
from services.common.instants import to_timestamp
from services.lookup.evidence.identities import SourceIdentities
from services.lookup.evidence.laboratory_tables import LaboratoryTables
from services.lookup.evidence.outages import Outages
from services.lookup.evidence.sign_of_life import sign_of_life
from services.lookup.evidence.source_answers import (
    MalformedAnswerError,
    SourceAnswer,
    SourceQuestion,
    read_answer,
    unreachable,
)
from services.lookup.evidence.source_health import source_breaker
from services.lookup.metrics import QUESTIONS, SECONDS
from services.lookup.ports import RecordsSource
from services.runtime.resilience.breaker import Probe
from services.runtime.rpc.call import enter, leave, within
from services.runtime.telemetry.trace import SpanKind, span

log = logging.getLogger("hutong.lookup.source")

MOST_IN_CALL = 1000
"""The most people BatchListRecords takes."""
PAST_IN_CALL = 200
"""So many people, at instants of the past, are asked about in one call: each part is short for the source, and others
have their turn in between."""
FEW_PEOPLE = 100
"""A question about more people may take its time; that it does says nothing of the source."""
LAG_SECONDS = 0.1
"""When a time-out comes later than this, this process was too busy to listen, and nothing follows about the source."""

PROBE_SECONDS = 0.7
"""How long one probe may take. With the breaker's pause it stays below a second: so soon is a source that came back
noticed."""


class Sources:
    """All record stores of the mesh, by name: region codes and "nation"."""

    def __init__(
        self,
        stores: Mapping[str, RecordsSource],
        identities: SourceIdentities,
        tables: LaboratoryTables,
        outages: Outages,
        timeout: float,
    ) -> None:
        """`timeout` is what one store may take at the most, in seconds; outages are told to `outages`."""
        self._stores = dict(stores)
        self._identities = identities
        self._tables = tables
        self._timeout = timeout
        self._breakers = {name: source_breaker(name, self._prober(name), outages) for name in stores}

    def __contains__(self, source: str) -> bool:
        """Tells if there is such a store."""
        return source in self._stores

    async def ask(
        self, source: str, questions: Sequence[tuple[SourceQuestion, Sequence[bytes]]], limit: float, end: float
    ) -> Sequence[SourceAnswer]:
        """Returns what a source knows of the people of each question, in order. Several questions are about the past,
        under one purpose. Each call has `limit` seconds, and none lasts beyond `end`, an instant of the monotonic
        clock in seconds.

        Whatever goes wrong, the answer says UNREACHABLE and the log why: nothing follows about what the source holds.
        """
        answers: list[SourceAnswer] = []
        part: list[tuple[SourceQuestion, Sequence[bytes]]] = []
        size = 0
        for question, keys in questions:
            if part and size + len(keys) > PAST_IN_CALL:
                answers += await self._ask(source, part, min(limit, end - time.monotonic()))
                part, size = [], 0
            part.append((question, keys))
            size += len(keys)
        return answers + await self._ask(source, part, min(limit, end - time.monotonic()))

    async def close(self) -> None:
        """Ends what goes on in the background."""
        for breaker in self._breakers.values():
            await breaker.close()

    async def _ask(
        self, source: str, questions: Sequence[tuple[SourceQuestion, Sequence[bytes]]], limit: float
    ) -> list[SourceAnswer]:
        store = self._stores.get(source)
        if store is None or limit <= 0:
            return [unreachable(source) for _ in questions]
        people = sum(len(keys) for _, keys in questions)
        attributes: dict[str, str | int | bool] = {"source": source, "people": people}
        with span("lookup", f"records {source}", SpanKind.CLIENT, attributes=attributes) as here:
            if self._breakers[source].down or all(source in question.down for question, _ in questions):
                here.set(status="KNOWN_DOWN")
                QUESTIONS.labels(source, "KNOWN_DOWN").inc()
                reason = self._identities.reason(source)
                return [unreachable(source, reason) for _ in questions]
            started = time.monotonic()
            token = enter(replace(within(limit), trace=here.trace))
            try:
                async with asyncio.timeout(limit):
                    answers = await self._answer(store, source, questions)
            except Exception as error:  # noqa: BLE001  # nothing that goes wrong with one source may sink the others
                cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
                reason = _reason(cause)
                patient = limit >= self._timeout / 2 and people <= FEW_PEOPLE
                listened = time.monotonic() - started <= limit + LAG_SECONDS
                self._failed(source, cause, patient=patient and listened)
                here.fail(reason)
                answers = [unreachable(source, reason if reason in REASONS else "") for _ in questions]
            finally:
                leave(token)
            status = SourceStatus.Name(answers[0].status).removeprefix("SOURCE_STATUS_")
            here.set(status=status)
        QUESTIONS.labels(source, status).inc()
        SECONDS.labels(source).observe(time.monotonic() - started)
        return answers

    async def _answer(
        self, store: RecordsSource, source: str, questions: Sequence[tuple[SourceQuestion, Sequence[bytes]]]
    ) -> list[SourceAnswer]:
        if len(questions) > 1:
            return await self._answer_about_the_past(store, source, questions)
        [(question, keys)] = questions
        parts = [keys[start : start + MOST_IN_CALL] for start in range(0, len(keys), MOST_IN_CALL)]
        if len(parts) == 1:
            return [await self._answer_about(store, source, question, keys)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._answer_about(store, source, question, part)) for part in parts]
        return [_joined([task.result() for task in tasks])]

    async def _answer_about(
        self, store: RecordsSource, source: str, question: SourceQuestion, keys: Sequence[bytes]
    ) -> SourceAnswer:
        known = self._tables.known(source)
        request = _request(question, keys, known)
        response = await store.BatchListRecords(request)
        self._identities.check(source, response.identity, response.behind)
        return read_answer(source, keys, response, self._tables.take(source, response, known))

    async def _answer_about_the_past(
        self, store: RecordsSource, source: str, questions: Sequence[tuple[SourceQuestion, Sequence[bytes]]]
    ) -> list[SourceAnswer]:
        known = self._tables.known(source)
        asked = [(question, keys) for question, keys in questions if source not in question.down]
        request = BatchListRecordsAtInstantsRequest(
            purpose=asked[0][0].purpose,
            known_laboratories=KnownLaboratories(versions=known),
            selection=asked[0][0].selection,
        )
        for question, keys in asked:
            at = request.questions.add()
            if question.known_at is not None:
                at.known_at.CopyFrom(to_timestamp(question.known_at))
            for key in keys:
                at.subjects.add(person_key=key)
        response = await store.BatchListRecordsAtInstants(request)
        if len(response.answers) != len(asked):
            raise MalformedAnswerError(f"{len(response.answers)} answers to {len(asked)} questions")
        given: list[tuple[Sequence[bytes], BatchListRecordsResponse]] = []
        for (_, keys), answer in zip(asked, response.answers, strict=True):
            self._identities.check(source, answer.identity, answer.behind)
            given.append((keys, answer))
        answers = iter([read_answer(source, keys, one, self._tables.take(source, one, known)) for keys, one in given])
        return [unreachable(source) if source in question.down else next(answers) for question, _ in questions]

    def _failed(self, source: str, error: Exception, *, patient: bool) -> None:
        breaker = self._breakers[source]
        reason = _reason(error)
        extra = {"source": source, "reason": reason}
        late = isinstance(error, TimeoutError) or (
            isinstance(error, ServiceError) and error.code is Code.DEADLINE_EXCEEDED
        )
        if late:
            breaker.timed_out(patient=patient)
        elif isinstance(error, ServiceError) and error.code is Code.UNAVAILABLE:
            breaker.failed()
        # Any other error may be this batch's own fault and says nothing of the next one.
        if reason in REASONS:
            self._identities.note(source, reason, error)
        elif late or isinstance(error, (ServiceError, MalformedAnswerError)):
            log.warning("source did not answer", extra=extra)
        else:
            log.error("source did not answer", extra=extra, exc_info=error)

    def _prober(self, source: str) -> Probe:
        store = self._stores[source]

        async def probe() -> bool | None:
            started = time.monotonic()
            try:
                response = await sign_of_life(store, PROBE_SECONDS)
                self._identities.check(source, response.identity, response.behind)
            except Exception as error:  # noqa: BLE001  # still down, in whatever way
                if _reason(error) in REASONS:
                    self._identities.note(source, _reason(error), error)
                return None if time.monotonic() - started > PROBE_SECONDS + LAG_SECONDS else False
            return True

        return probe


def _reason(error: Exception) -> str:
    if isinstance(error, MalformedAnswerError):
        return "MALFORMED_ANSWER"
    if isinstance(error, TimeoutError):
        return "DEADLINE_EXCEEDED"
    return error.reason if isinstance(error, ServiceError) else type(error).__name__


def _request(question: SourceQuestion, keys: Sequence[bytes], known: Mapping[int, object]) -> BatchListRecordsRequest:
    request = BatchListRecordsRequest(
        purpose=question.purpose,
        selection=question.selection,
        known_laboratories=KnownLaboratories(versions=known),
    )
    add = request.subjects.add
    for key in keys:
        add(person_key=key)
    if question.known_at is not None:
        request.known_at.CopyFrom(to_timestamp(question.known_at))
    elif question.asked_at is not None:
        request.asked_at.CopyFrom(to_timestamp(question.asked_at))
    return request


def _joined(parts: Sequence[SourceAnswer]) -> SourceAnswer:
    instants = [part.as_of for part in parts if part.as_of is not None]
    latest = max(parts, key=lambda part: part.known_at)
    return dataclasses.replace(
        latest,
        as_of=min(instants, key=lambda instant: (instant.seconds, instant.nanos))
        if len(instants) == len(parts)
        else None,
        people={key: person for part in parts for key, person in part.people.items()},
        silent=_least_known(parts),
        follows=latest.follows,
    )


def _least_known(parts: Sequence[SourceAnswer]) -> Mapping[str, Timestamp]:
    """Returns who is behind in any part, ascending, and up to when each is known in all of them."""
    silent: dict[str, Timestamp] = {}
    for part in parts:
        for region, known in part.silent.items():
            before = silent.get(region, known)
            silent[region] = min(before, known, key=lambda instant: (instant.seconds, instant.nanos))
    return dict(sorted(silent.items()))
