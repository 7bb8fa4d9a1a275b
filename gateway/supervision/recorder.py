"""The recorder: takes note of every code that is shown, and brings to the store what was not noted before.

Showing a code waits for nothing here. What waits to be written is lost with the process: a second of it, as long as the
store can be written.
"""

import asyncio
import hmac
import logging
from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from hutong.common.v1.subject_pb2 import Purpose
from hutong.verdict.v1.verdict_pb2 import Verdict

from gateway.codes.codes import Shown
from gateway.codes.query import CodeQuery
from gateway.metrics import SUPERVISION_LOST
from gateway.supervision.outcomes import (
    REFUSALS,
    Measure,
    foreign_test,
    measure_of,
    reason_codes,
    silent_sources,
)
from gateway.supervision.store.protocol import SupervisionStore
from gateway.supervision.store.values import KeptRefusal, Mark
from services.common.errors import InvalidArgument, ServiceError
from services.common.instants import Instant, calendar_day, from_timestamp, start_of_day
from services.runtime.clock import Clock
from services.runtime.metrics import OLDER_KEYS
from services.runtime.settings.secret_file import SecretFile

log = logging.getLogger("hutong.supervision")

FLUSH_SECONDS: Final = 1.0
PURGE_SECONDS: Final = 3600.0
MOST_KNOWN: Final = 200_000
"""So many shown codes and marks are remembered: what is forgotten is written once more, and counted once all the
same."""
MOST_WAITING: Final = 100_000
"""So much may wait while the store cannot be written."""
IN_ONE_WRITE: Final = 5_000
MOVED_AT_ONCE: Final = 1_000
"""The refusals whose person keys are looked at in one transaction, once a second."""
MARK_DAYS: Final = 1
"""How many days after its own a mark is kept: a code that is shown about midnight may be written after it."""
TEST_DAYS: Final = 14
"""How many days a test that was recognised from elsewhere is remembered in a region: longer than any window."""


_NONE: Final = b""
_ALL: Final = b"\xff" * 17
"""After every refusal's id."""


class Recorder:
    """Records into a store. `secret` is the root of the mesh's secret: who has not got it learns of a mark nothing.
    Refusals stand under the person key that others are told by the file of the secret; those of an older version are
    moved to it."""

    def __init__(self, store: SupervisionStore, secret: bytes, file: SecretFile, clock: Clock, *, days: int) -> None:
        self._store = store
        self._file = file
        self._keys = file.keys
        # The version that keys are moved to, and the refusal up to which they were; nothing was looked at yet.
        self._moving = 0
        self._moved: bytes = _NONE
        self._key = hmac.digest(secret, b"hutong supervision, marks", "sha256")
        self._clock = clock
        self._days = days
        self._known: OrderedDict[object, object] = OrderedDict()
        self._known_until = Instant(0)
        self._marks: dict[bytes, Mark] = {}
        self._refusals: dict[bytes, KeptRefusal] = {}

    def record(self, query: CodeQuery, shown: Shown, purpose: Purpose.ValueType) -> None:
        """Takes note of a code that is shown. What supervision looks at itself, and what is asked about the past,
        counts for nothing."""
        if query.past or purpose == Purpose.PURPOSE_SUPERVISION:
            return
        entry, now = shown.entry, self._clock()
        if now >= self._known_until:
            self._known.clear()
            self._known_until = start_of_day(calendar_day(now) + 1)
        if self._known.get(query.key) == entry.computed_at:
            return
        self._remember(query.key, entry.computed_at)
        self._note(query, shown.message().verdict, now)

    def _note(self, query: CodeQuery, verdict: Verdict, now: Instant) -> None:
        measure = measure_of(verdict)
        if measure is None:
            return
        day = calendar_day(now)
        place = (day, verdict.region, int(query.scene))
        self._mark(measure, place, day + MARK_DAYS, query.person, *place)
        test = foreign_test(verdict)
        if test is not None:
            avoided = Measure.REPEAT_TEST_AVOIDED
            of_test = (query.person, verdict.region, test.region, test.source_id)
            self._mark(avoided, place, day + TEST_DAYS, *of_test)
        if measure in REFUSALS:
            self._keep(measure, query, verdict, now)

    def _mark(self, measure: Measure, place: tuple[int, str, int], until: int, *of: object) -> None:
        mark = self._digest(int(measure), *of)
        if mark in self._known:
            return
        self._remember(mark, None)
        if len(self._marks) >= MOST_WAITING:
            SUPERVISION_LOST.add("MARK")
            return
        self._marks[mark] = Mark(mark, until, *place, int(measure))

    def _keep(self, measure: Measure, query: CodeQuery, verdict: Verdict, now: Instant) -> None:
        reasons = ",".join(reason_codes(verdict))
        silent = ",".join(silent_sources(verdict))
        day = calendar_day(now)
        refusal_id = self._digest(
            "refusal",
            query.person,
            day,
            verdict.region,
            int(query.scene),
            verdict.scope,
            verdict.status,
            int(measure),
            verdict.policy.content_hash,
            reasons,
            silent,
        )
        if refusal_id in self._known:
            return
        self._remember(refusal_id, None)
        if len(self._refusals) >= MOST_WAITING:
            SUPERVISION_LOST.add("REFUSAL")
            return
        self._refusals[refusal_id] = KeptRefusal(
            refusal_id,
            day,
            self._keys.told(query.person),
            verdict.region,
            int(query.scene),
            verdict.scope,
            verdict.status,
            verdict.notice,
            from_timestamp(verdict.at),
            from_timestamp(verdict.computed_at),
            now,
            verdict.policy.policy_id,
            verdict.policy.content_hash,
            from_timestamp(verdict.policy.effective_from),
            reasons,
            silent,
        )

    def _digest(self, *of: object) -> bytes:
        return blake2b(repr(of).encode(), key=self._key, digest_size=16).digest()

    def _remember(self, key: object, value: object) -> None:
        self._known[key] = value
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    async def run(self) -> None:
        """Writes what waits and moves person keys, every second, and deletes what is kept no longer, every hour; until
        cancelled."""
        loop = asyncio.get_running_loop()
        purged = loop.time() - PURGE_SECONDS
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
                await self.move_keys()
                if loop.time() - purged >= PURGE_SECONDS:
                    today = calendar_day(self._clock())
                    await self._store.purge(today, today - self._days)
                    purged = loop.time()
                    # Another gateway may have written under a version that it did not know to be old.
                    self._moving = 0
            except ServiceError as error:
                log.warning("what supervision counts waits", extra={"reason": error.reason})

    async def flush(self) -> None:
        """Returns when all that waits is durable. Raises Unavailable; what was not written waits on."""
        while self._marks or self._refusals:
            marks = list(self._marks.values())[:IN_ONE_WRITE]
            refusals = list(self._refusals.values())[:IN_ONE_WRITE]
            await self._store.add(marks, refusals)
            for mark in marks:
                self._marks.pop(mark.mark, None)
            for refusal in refusals:
                self._refusals.pop(refusal.refusal_id, None)

    async def move_keys(self) -> None:
        """Moves the person keys of some refusals to the current version, if any may be of another. Raises
        Unavailable."""
        self._file.current()
        current = self._keys.current
        if self._moving != current:
            self._moving, self._moved = current, _NONE
        if self._moved != _ALL:
            self._moved = await self._store.move_keys(self._moved, MOVED_AT_ONCE, self._told) or _ALL
            OLDER_KEYS.labels("supervision").set(self._moved != _ALL)

    def _told(self, key: bytes) -> bytes:
        try:
            return self._keys.told(key)
        except InvalidArgument:
            # Of a version that was taken away before: nobody can open that refusal any more.
            return key

    async def close(self) -> None:
        """Writes what waits, and closes the store."""
        try:
            await self.flush()
        except ServiceError:
            for what, waiting in (("MARK", self._marks), ("REFUSAL", self._refusals)):
                for _ in waiting:
                    SUPERVISION_LOST.add(what)
        await self._store.close()
