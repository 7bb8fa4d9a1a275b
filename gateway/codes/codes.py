"""Codes: from the cache where it may, computed where it must, the last known where nothing else can be had."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.health_code_service_pb2 import CodeSummary, Freshness, ShowHealthCodeResponse
from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1.verdict_pb2 import Status

from gateway.codes.cache.entry import WITHOUT_NEWS, Entry
from gateway.codes.cache.protocol import HOLDERS, CacheDownError, VerdictCache
from gateway.codes.policy_digests import PolicyDigests
from gateway.codes.query import CodeQuery, renamed
from gateway.codes.single_flight import SingleFlight
from gateway.metrics import CODES, Outcome
from services.common.errors import Code, ServiceError
from services.common.instants import SECOND, Instant
from services.common.regions import NATION
from services.runtime.clock import Clock
from services.runtime.telemetry.trace import current_span

log = logging.getLogger("hutong.codes")

_CACHED = Freshness.FRESHNESS_CACHED
_STALE_SOURCE = Freshness.FRESHNESS_STALE_SOURCE
_HIT = Outcome.HIT
_NO_ANSWER = frozenset((Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED))


class Shown(NamedTuple):
    """A code to show. `age` is in seconds and counts when it is stale."""

    entry: Entry
    freshness: Freshness.ValueType
    outcome: Outcome
    age: int = 0

    def message(self) -> ShowHealthCodeResponse:
        """Returns the code as the contract has it."""
        response = ShowHealthCodeResponse.FromString(self.entry.message)
        response.freshness = self.freshness
        return response

    def summary(self) -> CodeSummary:
        """Returns what matters of the code: its first ground or, without one, its first reason."""
        verdict = self.message().verdict
        summary = CodeSummary(status=verdict.status, colour=verdict.colour, freshness=self.freshness)
        if verdict.HasField("valid_until"):
            summary.valid_until.CopyFrom(verdict.valid_until)
        if verdict.grounds:
            summary.reason = verdict.grounds[0].clause
            summary.text.CopyFrom(verdict.grounds[0].text)
        elif verdict.reasons:
            summary.reason = verdict.reasons[0].code
            summary.text.CopyFrom(verdict.reasons[0].text)
        return summary


class Summaries:
    """Makes the summaries of one person's codes in several regions: words that one before has for the same reason are
    not said again."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def of(self, shown: Shown) -> CodeSummary:
        """Returns the summary of the next code."""
        summary = shown.summary()
        words = summary.reason, summary.text.zh
        if words in self._said:
            summary.ClearField("text")
        self._said.add(words)
        return summary


class Codes:
    """Answers queries. Under news no older than `news_seconds` an entry is served for as long as it is fresh, under
    older news while it is younger than WITHOUT_NEWS. `region_feeds` are the regions that have a feed of their own."""

    def __init__(
        self,
        cache: VerdictCache,
        single_flight: SingleFlight,
        policies: PolicyDigests,
        *,
        clock: Clock,
        news_seconds: float,
        region_feeds: frozenset[str] = frozenset(),
    ) -> None:
        self._cache = cache
        self._single_flight = single_flight
        self._policies = policies
        self._clock = clock
        self._news_seconds = news_seconds
        self._oldest = int(news_seconds * SECOND)
        self._without_news = min(WITHOUT_NEWS, self._oldest)
        self._region_feeds = region_feeds

    async def show(self, query: CodeQuery, purpose: Purpose.ValueType) -> Shown:
        """Answers one query. Raises ServiceError."""
        shown = self._at_once(query)
        if shown is None:
            (answer,) = await self.show_many([query], purpose)
            if isinstance(answer, ServiceError):
                raise answer
            shown = answer
        span = current_span()
        if span is not None:
            span.set(
                region=query.region,
                scope=Scope.Name(shown.entry.scope).removeprefix("SCOPE_"),  # type: ignore[arg-type]  # as stored
                status=Status.Name(shown.entry.status).removeprefix("STATUS_"),  # type: ignore[arg-type]  # as stored
                cache_outcome=shown.outcome.value,
            )
        return shown

    async def show_many(
        self, queries: Sequence[CodeQuery], purpose: Purpose.ValueType
    ) -> Sequence[Shown | ServiceError]:
        """Answers many, in order; what the cache does not have is computed together."""
        looked_up = await self.look_up(queries)
        missing = [at for at, one in enumerate(looked_up) if isinstance(one, Outcome)]
        answers: dict[int, Shown | ServiceError] = {
            at: one for at, one in enumerate(looked_up) if not isinstance(one, Outcome)
        }
        if missing:
            computed = await self._single_flight.compute([queries[at] for at in missing], purpose)
            for at, answer in zip(missing, computed, strict=True):
                why = looked_up[at]
                answers[at] = (
                    Shown(answer, _STALE_SOURCE if answer.partial else Freshness.FRESHNESS_COMPUTED, why)
                    if isinstance(answer, Entry) and isinstance(why, Outcome)
                    else renamed(answer, queries[at].path)  # type: ignore[arg-type]  # what is not an entry is an error
                )
            await self._last_known(queries, answers)
        for one in answers.values():
            if isinstance(one, Shown):
                CODES.add(one.outcome)
        return [answers[at] for at in range(len(queries))]

    async def forget(self, person: bytes) -> None:
        """Drops what is known about a person, here and now. With the cache down that is made up for later."""
        self._single_flight.forget(person)
        try:
            await self._cache.forget(person)
        except CacheDownError:
            log.warning("cache down: a person is forgotten later")

    def _at_once(self, query: CodeQuery) -> Shown | None:
        """Answers where the cache can without waiting."""
        if query.refresh or query.past:
            return None
        kept = self._cache.peek(query.key)
        if kept is None:
            return None
        entry, news, followed = kept
        now = self._clock()
        if not self._serves(entry, self._told(news, query.region, now), followed, query.region, now):
            return None
        CODES.add(_HIT)
        return Shown(entry, _STALE_SOURCE if entry.partial else _CACHED, _HIT)

    async def look_up(self, queries: Sequence[CodeQuery]) -> Sequence[Shown | Outcome]:
        """Reads the answers that the cache may give, in order, or why it gives none."""
        looked_up: list[Shown | Outcome] = [Outcome.REFRESH if query.refresh else Outcome.BYPASS for query in queries]
        cacheable = [at for at, query in enumerate(queries) if not query.refresh and not query.past]
        if not cacheable:
            return looked_up
        try:
            reading = await self._cache.read([queries[at].key for at in cacheable])
        except CacheDownError:
            return looked_up
        now = self._clock()
        for at, entry in zip(cacheable, reading.entries, strict=True):
            region = queries[at].region
            told = self._told(reading.news, region, now)
            if entry is not None and self._serves(entry, told, reading.followed, region, now):
                looked_up[at] = Shown(entry, _STALE_SOURCE if entry.partial else _CACHED, _HIT)
            elif told and self._policies.recent(self._news_seconds):
                looked_up[at] = Outcome.MISS
        return looked_up

    def _told(self, news: Mapping[str, int], region: str, now: Instant) -> bool:
        oldest = now - self._oldest
        return (
            news.get(NATION, 0) >= oldest
            and news.get(HOLDERS, 0) >= oldest
            and (region not in self._region_feeds or news.get(region, 0) >= oldest)
        )

    def _serves(self, entry: Entry, told: bool, followed: frozenset[str], region: str, now: Instant) -> bool:
        return (
            ((told and followed.issuperset(entry.feeds)) or entry.asked_at > now - self._without_news)
            and self._policies.recent(self._news_seconds)
            and entry.fresh(now, self._policies.of(region))
        )

    async def _last_known(self, queries: Sequence[CodeQuery], answers: dict[int, Shown | ServiceError]) -> None:
        """Puts the last known verdict, where there is one, in place of an error that says nobody answered."""
        failed = [
            at
            for at, answer in answers.items()
            if isinstance(answer, ServiceError) and answer.code in _NO_ANSWER and not queries[at].past
        ]
        if not failed:
            return
        try:
            # Read again: a change may have come in while nobody answered.
            reading = await self._cache.read([queries[at].key for at in failed])
        except CacheDownError:
            return
        now = self._clock()
        for at, entry in zip(failed, reading.entries, strict=True):
            if entry is not None and entry.displayable(now, self._policies.of(entry.region)):
                age = max(0, now - entry.computed_at) // SECOND
                answers[at] = Shown(entry, Freshness.FRESHNESS_STALE, Outcome.STALE, age)
