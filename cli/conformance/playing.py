"""Plays cases: one after another, each step with what came before it."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from google.protobuf.message import Message
from hutong.records.v1.change_feed_service_pb2 import (
    Change,
    FeedCursor,
    ListChangesResponse,
    WatchChangesResponse,
)

from cli.conformance.calling import METHODS, GrpcTarget, HttpTarget, Refusal, WrongCaseError, to_json, to_message
from cli.conformance.case_files import CallStep, Case, CaseFile, ExpectedError, FeedStep, HttpStep, Step, StreamStep
from cli.conformance.json_values import Json, at, differences
from cli.conformance.outcomes import CaseOutcome
from cli.conformance.run_values import RunValues, UnknownValueError
from services.runtime.resilience.backoff import Backoff

_LIST, _WATCH = (METHODS[f"hutong.records.v1.ChangeFeedService/{name}Changes"] for name in ("List", "Watch"))
FEED_SECONDS = 15.0
"""How long a feed is followed until what was written is in it."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5


class Targets:
    """The targets that cases ask: the one that was named, over gRPC or HTTP, and the store of records where people are
    tested."""

    def __init__(self, own: GrpcTarget | HttpTarget, records: GrpcTarget | None) -> None:
        self._own = own
        self.records = records

    def over(self) -> str:
        """Returns how the target is asked: `http` or `grpc`."""
        return "http" if isinstance(self._own, HttpTarget) else "grpc"

    def grpc(self, method: str) -> GrpcTarget:
        """Returns who is asked by a method. Raises WrongCaseError."""
        target = self.records if ".records." in method else self._own
        if not isinstance(target, GrpcTarget):
            raise WrongCaseError(f"nobody to ask by {method}")
        return target

    def http(self) -> HttpTarget:
        """Returns who is asked over HTTP. Raises WrongCaseError."""
        if not isinstance(self._own, HttpTarget):
            raise WrongCaseError("the target is not asked over HTTP")
        return self._own

    async def close(self) -> None:
        """Closes the connections."""
        for target in {self._own, self.records}:
            if isinstance(target, GrpcTarget):
                await target.close()


async def play(
    cases: CaseFile, targets: Targets, values: RunValues, tell: Callable[[CaseOutcome], None]
) -> list[CaseOutcome]:
    """Plays the cases that can be asked over the target's transport; `tell` is given each outcome as it comes."""
    outcomes: list[CaseOutcome] = []
    for case in cases.cases:
        if targets.over() not in case.transports():
            continue
        outcome = await _play_case(case, targets, values)
        outcomes.append(outcome)
        tell(outcome)
    return outcomes


async def _play_case(case: Case, targets: Targets, values: RunValues) -> CaseOutcome:
    if case.needs_records() and targets.records is None:
        return CaseOutcome(id=case.id, name=case.name, outcome="skipped", differences=["needs --records"])
    began = time.perf_counter()
    wrong: list[str] = []
    for number, step in enumerate(case.steps, 1):
        try:
            found = await _play_step(step, targets, values)
        except Refusal as refused:
            found = [f"got the error {refused}"]
        except (WrongCaseError, UnknownValueError, OSError) as error:
            found = [f"{type(error).__name__}: {error}"]
        wrong += [values.redact(f"step {number}: {difference}") for difference in found]
        if wrong:
            # What follows rests on what failed.
            break
    seconds = time.perf_counter() - began
    return CaseOutcome(
        id=case.id,
        name=case.name,
        outcome="failed" if wrong else "passed",
        differences=wrong,
        seconds=round(seconds, 3),
    )


async def _play_step(step: Step, targets: Targets, values: RunValues) -> Sequence[str]:
    if isinstance(step, CallStep):
        target, request = targets.grpc(step.call), values.fill(step.request)
        return await _answered(step, lambda: target.call(step.call, request), values)
    if isinstance(step, HttpStep):
        http, body = targets.http(), values.fill(step.body)
        return await _answered(
            step, lambda: http.request(step.http, body, step.headers, anonymous=step.anonymous), values
        )
    if isinstance(step, StreamStep):
        return await _converse(step, targets.grpc(step.stream), values)
    return await _follow(step, targets.grpc(_LIST.containing_service.full_name), values)


async def _answered(step: CallStep | HttpStep, ask: Callable[[], Awaitable[Json]], values: RunValues) -> Sequence[str]:
    until, backoff = time.monotonic() + step.within, Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
    while True:
        try:
            answer = await ask()
        except Refusal as refused:
            found = _error_differences(step.error, refused, values)
        else:
            if step.error is not None:
                found = [f"expected the error {step.error.reason}, got an answer"]
            else:
                found = list(differences(values.fill(step.expect), answer)) if step.expect is not None else []
                for name, path in step.save.items():
                    values.save(name, at(answer, path))
        if not found or time.monotonic() >= until:
            return found
        await backoff.wait()


def _error_differences(expected: ExpectedError | None, got: Refusal, values: RunValues) -> list[str]:
    if expected is None:
        return [f"expected an answer, got the error {got}"]
    wanted: dict[str, Json] = {"reason": expected.reason, "fields": expected.fields, "metadata": expected.metadata}
    if expected.code:
        wanted["code"] = expected.code
    actual: Mapping[str, Json] = {
        "code": got.code,
        "reason": got.reason,
        "fields": got.fields,
        "metadata": got.metadata,
    }
    return list(differences(values.fill(wanted), actual))


async def _converse(step: StreamStep, target: GrpcTarget, values: RunValues) -> Sequence[str]:
    found: list[str] = []
    async with target.converse(step.stream) as stream:
        for place, message in enumerate(step.messages):
            last = place == len(step.messages) - 1
            try:
                answer = await stream.say(values.fill(message))
            except Refusal as refused:
                return found + _error_differences(step.error if last else None, refused, values)
            if last and step.error is not None:
                return [*found, f"expected the error {step.error.reason}, got an answer"]
            found += differences(values.fill(step.expect[place]), answer, f"answer {place + 1}")
    return found


async def _follow(step: FeedStep, target: GrpcTarget, values: RunValues) -> Sequence[str]:
    expected = [[values.fill(name), revision] for name, revision in step.changes]
    own = {str(name) for name, _ in expected}
    prefix = str(values.fill("${id:}"))
    reading = _Reading()
    until = time.monotonic() + FEED_SECONDS
    after = values.fill(step.after)
    if step.feed == "watch":
        request = to_message(_WATCH, {} if after is None else {"cursor": after})
        async for message in target.watch(_WATCH, request, FEED_SECONDS):
            reading.take(message)
            if len(reading.records(own, prefix)) >= len(expected) or time.monotonic() > until:
                break
    else:
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while True:
            body: dict[str, Json] = {"page_size": step.page_size} | ({} if after is None else {"cursor": after})
            page = await target.send(_LIST, to_message(_LIST, body))
            reading.take(page)
            after = to_json(reading.cursor)
            if len(reading.records(own, prefix)) >= len(expected) or time.monotonic() > until:
                break
            if not reading.last_had_changes:
                await backoff.wait()
    if step.save:
        values.save(step.save, to_json(reading.cursor))
    return [*reading.wrong, *differences(expected, reading.records(own, prefix), "changes")]


class _Reading:
    """The part of a feed that was read so far."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self.cursor = FeedCursor()
        self.wrong: list[str] = []
        self.last_had_changes = False

    def take(self, message: Message) -> None:
        """Adds a page, or a message of a watch, and notes where it breaks the feed's rules."""
        if not isinstance(message, ListChangesResponse | WatchChangesResponse):
            raise TypeError(f"{type(message).__name__} is no part of a feed")
        for change in message.changes:
            if self._changes and change.sequence <= self._changes[-1].sequence:
                self.wrong.append(f"sequence {change.sequence} after {self._changes[-1].sequence}")
            self._changes.append(change)
        if message.cursor.sequence < (message.changes[-1].sequence if message.changes else self.cursor.sequence):
            self.wrong.append(f"the cursor stands at {message.cursor.sequence}, behind what was given")
        self.cursor = message.cursor
        self.last_had_changes = bool(message.changes)

    def records(self, own: set[str], prefix: str) -> list[Json]:
        """Returns the id and revision of this run's records among them, in order."""
        return [
            [change.record.source_id, change.record.revision]
            for change in self._changes
            if change.record.source_id in own and change.record.source_id.startswith(prefix)
        ]
