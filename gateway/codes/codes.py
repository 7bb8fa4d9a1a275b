"""Codes: from the cache where it may, computed where it must, the last known where nothing else can be had."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.health_code_service_pb2 import Freshness, ShowHealthCodeResponse

from gateway.application.admission import Question, placed
from gateway.codes.cache.entry import WITHOUT_NEWS, Entry
from gateway.codes.cache.protocol import CacheDownError, VerdictCache
from gateway.codes.policy_digests import PolicyDigests
from gateway.codes.single_flight import SingleFlight
from gateway.http import views
from gateway.metrics import CODES, Outcome
from gateway.news.feeds import HOLDERS
from services.common.errors import Code, ServiceError
from services.common.instants import SECOND, Instant
from services.common.regions import NATION
from services.runtime.clock import Clock
from services.runtime.telemetry.trace import current_span

log = logging.getLogger("hutong.codes")

_CACHED = Freshness.FRESHNESS_CACHED
_HIT = Outcome.HIT
_NO_ANSWER = frozenset((Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED))


class Shown(NamedTuple):
    """A code to show. `age` is in seconds and counts when it is stale."""

    entry: Entry
    freshness: Freshness.ValueType
    outcome: Outcome
    age: int = 0

    def json(self) -> bytes:
        """As HTTP shows it."""
        return views.code(self.entry.body, self.freshness, self.age)

    def message(self) -> ShowHealthCodeResponse:
        """As gRPC shows it."""
        response = ShowHealthCodeResponse.FromString(self.entry.message)
        response.freshness = self.freshness
        return response


class Codes:
    """Answers questions. Under news no older than `news_seconds` an entry is served for as long as it is fresh, under
    older news while it is younger than WITHOUT_NEWS. `region_feeds` are the regions that have a feed of their own."""

    def __init__(
        self,
        cache: VerdictCache,
        flights: SingleFlight,
        policies: PolicyDigests,
        *,
        clock: Clock,
        news_seconds: float,
        region_feeds: frozenset[str] = frozenset(),
    ) -> None:
        self._cache = cache
        self._flights = flights
        self._policies = policies
        self._clock = clock
        self._news_seconds = news_seconds
        self._oldest = int(news_seconds * SECOND)
        self._without_news = min(WITHOUT_NEWS, self._oldest)
        self._region_feeds = region_feeds

    def peek(self, question: Question) -> bytes | None:
        """The JSON of the code, where the cache can give it without waiting; it is counted as shown."""
        if question.refresh or question.past:
            return None
        kept = self._cache.peek(question.key)
        if kept is None:
            return None
        entry, news = kept
        region = question.region
        now = self._clock()
        if not self._serves(entry, self._told(news, region, now), region, now):
            return None
        CODES.add(_HIT)
        return views.CACHED_START + entry.body

    async def look(self, question: Question) -> Shown | Outcome:
        """The answer the cache may give to one question, or why it gives none."""
        if question.refresh:
            return Outcome.REFRESH
        if question.past:
            return Outcome.BYPASS
        try:
            reading = await self._cache.read((question.key,))
        except CacheDownError:
            return Outcome.BYPASS
        return self._judge(reading.entries[0], reading.news, question.region, self._clock())

    async def look_many(self, questions: Sequence[Question]) -> Sequence[Shown | Outcome]:
        """The same for many, in order, read together."""
        looked: list[Shown | Outcome] = [
            Outcome.REFRESH if question.refresh else Outcome.BYPASS for question in questions
        ]
        cacheable = [at for at, question in enumerate(questions) if not question.refresh and not question.past]
        if not cacheable:
            return looked
        try:
            reading = await self._cache.read([questions[at].key for at in cacheable])
        except CacheDownError:
            return looked
        now = self._clock()
        for at, entry in zip(cacheable, reading.entries, strict=True):
            looked[at] = self._judge(entry, reading.news, questions[at].region, now)
        return looked

    async def show(self, question: Question, looked: Shown | Outcome, purpose: Purpose.ValueType) -> Shown:
        """The answer to one question, after `look`. Raises ServiceError."""
        (answer,) = await self.show_many([question], [looked], purpose)
        if isinstance(answer, ServiceError):
            raise answer
        span = current_span()
        if span is not None:
            span.set(
                region=question.region,
                scope=views.SCOPE[answer.entry.scope] or "",
                status=views.STATUS[answer.entry.status] or "",
                cache_outcome=answer.outcome.value,
            )
        return answer

    async def show_many(
        self, questions: Sequence[Question], looked: Sequence[Shown | Outcome], purpose: Purpose.ValueType
    ) -> Sequence[Shown | ServiceError]:
        """The answers to many, in order, after `look_many`; what is missing is computed together."""
        missing = [at for at, one in enumerate(looked) if isinstance(one, Outcome)]
        answers: dict[int, Shown | ServiceError] = {
            at: one for at, one in enumerate(looked) if not isinstance(one, Outcome)
        }
        if missing:
            computed = await self._flights.compute([questions[at] for at in missing], purpose)
            for at, answer in zip(missing, computed, strict=True):
                why = looked[at]
                answers[at] = (
                    Shown(answer, Freshness.FRESHNESS_COMPUTED, why)
                    if isinstance(answer, Entry) and isinstance(why, Outcome)
                    else placed(answer, questions[at].path)  # type: ignore[arg-type]  # what is not an entry is an error
                )
            await self._last_known(questions, answers)
        for one in answers.values():
            if isinstance(one, Shown):
                CODES.add(one.outcome)
        return [answers[at] for at in range(len(questions))]

    async def forget(self, person: bytes) -> None:
        """Drops what is known about a person, here and now. With the cache down that is made up for later."""
        self._flights.forget(person)
        try:
            await self._cache.forget(person)
        except CacheDownError:
            log.warning("cache down: a person is forgotten later")

    def _told(self, news: Mapping[str, int], region: str, now: Instant) -> bool:
        oldest = now - self._oldest
        return (
            news.get(NATION, 0) >= oldest
            and news.get(HOLDERS, 0) >= oldest
            and (region not in self._region_feeds or news.get(region, 0) >= oldest)
        )

    def _serves(self, entry: Entry, told: bool, region: str, now: Instant) -> bool:
        return (
            (told or entry.asked_at > now - self._without_news)
            and self._policies.recent(self._news_seconds)
            and entry.fresh(now, self._policies.of(region))
        )

    def _judge(self, entry: Entry | None, news: Mapping[str, int], region: str, now: Instant) -> Shown | Outcome:
        told = self._told(news, region, now)
        if entry is not None and self._serves(entry, told, region, now):
            return Shown(entry, _CACHED, Outcome.HIT)
        return Outcome.MISS if told and self._policies.recent(self._news_seconds) else Outcome.BYPASS

    async def _last_known(self, questions: Sequence[Question], answers: dict[int, Shown | ServiceError]) -> None:
        """Puts the last known verdict, where there is one, in place of an error that says nobody answered."""
        failed = [
            at
            for at, answer in answers.items()
            if isinstance(answer, ServiceError) and answer.code in _NO_ANSWER and not questions[at].past
        ]
        if not failed:
            return
        try:
            # Read again: a change may have come in while nobody answered.
            reading = await self._cache.read([questions[at].key for at in failed])
        except CacheDownError:
            return
        now = self._clock()
        for at, entry in zip(failed, reading.entries, strict=True):
            if entry is not None and entry.displayable(now, self._policies.of(entry.region)):
                age = max(0, now - entry.computed_at) // SECOND
                answers[at] = Shown(entry, Freshness.FRESHNESS_STALE, Outcome.STALE, age)
