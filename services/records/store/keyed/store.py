"""A RecordStore that gives and takes this process's own keys, whichever version a person stands under in it.

While keys are moved, a person is asked for under every version that is known, in one question; what was read while some
were moved is read again. Who is written about is moved first. Once all keys are this process's own, nothing is changed.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

from services.common.instants import Instant
from services.records.domain.conflicts import StoredConflict
from services.records.domain.correction_requests import CorrectionRequestCount, StoredCorrectionRequest
from services.records.domain.replication import Cursor
from services.records.domain.revisions import PersonRecord, RecordId
from services.records.domain.selection import LeftOut, Selection
from services.records.store.errors import unavailable
from services.records.store.keyed.decisions import own_conflict, own_request, written_decide, written_touch
from services.records.store.keyed.figures import KeyedFigures, own_changes
from services.records.store.moved_keys import own_body, with_key
from services.records.store.protocols.figures import FigureStore
from services.records.store.protocols.record_store import RecordStore
from services.records.store.seen_feed import SeenFeed
from services.records.store.unit_of_work import Decide, KeysMovedError, Touch
from services.records.store.values.feed import ChangeRow, DueCopy, Head, Lag
from services.records.store.values.records import CurrentRecord, LaboratoryRow, People, Purged, RevisionBodies
from services.runtime.clock import Clock
from services.runtime.storage.key_moves import KeyState, KeyVersions

T = TypeVar("T")

ATTEMPTS = 50
"""How often something is read again because keys were moved meanwhile."""


class KeyedStore:
    """See RecordStore."""

    def __init__(self, store: RecordStore, versions: KeyVersions) -> None:
        self._store = store
        self._versions = versions
        self._figures = KeyedFigures(store.figures, versions)

    @property
    def poll_seconds(self) -> float:
        """See FeedLog."""
        return self._store.poll_seconds

    @property
    def seen(self) -> SeenFeed:
        """See RecordStore."""
        return self._store.seen

    @property
    def figures(self) -> FigureStore:
        """See RecordStore."""
        return self._figures

    async def people(
        self,
        person_keys: Sequence[bytes],
        known_at: Instant,
        *,
        original: bool = False,
        selection: Selection | None = None,
    ) -> People:
        """See RecordReads."""
        state = await self._versions.known()
        for _ in range(ATTEMPTS):
            if self._versions.plain(state):
                people = await self._store.people(person_keys, known_at, original=original, selection=selection)
            else:
                meant = {key: person for person in person_keys for key in self._versions.asked(state, person)}
                stored = await self._store.people(list(meant), known_at, original=original, selection=selection)
                people = _of_asked(stored, meant)
            if people.moved_keys == state.moved:
                return people
            state = await self._versions.look()
        raise unavailable()

    async def _steadily(self, read: Callable[[], Awaitable[T]]) -> T:
        """Returns what several statements read together while no keys were moved."""
        state = await self._versions.known()
        if not state.moving:
            return await read()
        for _ in range(ATTEMPTS):
            before = await self._versions.look()
            answer = await read()
            if (await self._store.key_state()).moved == before.moved:
                return answer
            await asyncio.sleep(0)
        raise unavailable()

    async def _plain(self) -> bool:
        return self._versions.plain(await self._versions.known())

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """See RecordHistories."""
        bodies = await self._steadily(lambda: self._store.history(record_id))
        return bodies if await self._plain() else [own_body(self._versions.keys, body) for body in bodies]

    async def former(self, record_id: RecordId) -> Sequence[bytes]:
        """See RecordHistories."""
        bodies = await self._steadily(lambda: self._store.former(record_id))
        return bodies if await self._plain() else [own_body(self._versions.keys, body) for body in bodies]

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See FeedLog."""
        rows = await self._store.changes(after, most)
        return rows if await self._plain() else own_changes(rows, self._versions)

    async def conflicts(self, after: int, most: int, settled_too: bool) -> Sequence[StoredConflict]:
        """See ConflictLog."""
        conflicts = await self._store.conflicts(after, most, settled_too)
        if await self._plain():
            return conflicts
        return [own_conflict(conflict, self._versions.keys.own) for conflict in conflicts]

    async def correction_requests(
        self, region: str, laboratories: Collection[str], after: int, most: int, answered_too: bool
    ) -> Sequence[StoredCorrectionRequest]:
        """See CorrectionRequestLog."""
        return self._own(await self._store.correction_requests(region, laboratories, after, most, answered_too))

    async def correction_request(self, correction_request_id: str) -> StoredCorrectionRequest | None:
        """See CorrectionRequestLog."""
        request = await self._store.correction_request(correction_request_id)
        return None if request is None else self._own([request])[0]

    async def correction_requests_of(self, person_keys: Collection[bytes]) -> Sequence[StoredCorrectionRequest]:
        """See CorrectionRequestLog."""
        asked = await self._asked(person_keys)
        return self._own(await self._store.correction_requests_of(asked))

    async def late_result_requests(self, records: Collection[RecordId]) -> Sequence[StoredCorrectionRequest]:
        """See CorrectionRequestLog."""
        return self._own(await self._store.late_result_requests(records))

    async def correction_request_counts(self, region: str) -> Sequence[CorrectionRequestCount]:
        """See CorrectionRequestLog."""
        return await self._store.correction_request_counts(region)

    async def newest_revision(self, record: PersonRecord) -> int:
        """See CorrectionRequestLog."""
        records = [PersonRecord(key, record.id) for key in await self._asked([record.person_key])]

        async def newest() -> int:
            return max([await self._store.newest_revision(one) for one in records])

        return await self._steadily(newest)

    async def _asked(self, person_keys: Collection[bytes]) -> Sequence[bytes]:
        """Returns every key under which people may stand."""
        state = await self._versions.known()
        if self._versions.plain(state):
            return list(person_keys)
        return [key for person in person_keys for key in self._versions.asked(state, person)]

    def _own(self, requests: Sequence[StoredCorrectionRequest]) -> Sequence[StoredCorrectionRequest]:
        return [own_request(request, self._versions.keys.own) for request in requests]

    async def by_time(
        self, first: Instant, end: Instant, known_at: Instant
    ) -> AsyncGenerator[Sequence[RevisionBodies], None]:
        """See RecordsByTime."""
        async with aclosing(self._store.by_time(first, end, known_at)) as batches:
            async for batch in batches:
                if await self._plain():
                    yield batch
                else:
                    keys = self._versions.keys
                    yield [[own_body(keys, body) for body in record] for record in batch]

    async def commit(self, touch: Touch, decide: Decide, clock: Clock) -> bytes:
        """See UnitOfWork."""
        state = await self._versions.known()
        for _ in range(ATTEMPTS):
            versions = self._versions
            if state.moving:
                await self._move_touched(touch)
            try:
                if versions.plain(state):
                    return await self._store.commit(_of_version(touch, state), decide, clock)
                return await self._store.commit(
                    written_touch(touch, versions.write, state.version),
                    written_decide(decide, versions.keys.own, versions.write),
                    clock,
                )
            except KeysMovedError:
                state = await versions.look()
        raise unavailable()

    async def _move_touched(self, touch: Touch) -> None:
        """Moves whoever is written about. What was moved stays so: nobody writes older keys any more."""
        versions = self._versions
        named = {key for key in touch.records.values() if key is not None}
        named.update(record.person_key for record in touch.others)
        named.update(touch.requester)
        named.update(await self._store.holders(list(touch.records)))
        moves = {
            key: written
            for person in named
            for key in versions.keys.under_every_version(person)
            if key != (written := versions.write(person))
        }
        if moves:
            await self._store.move_keys(moves)

    async def key_state(self) -> KeyState:
        """See KeyMoves."""
        return await self._store.key_state()

    async def begin_key_move(self, fingerprint: bytes, version: int) -> None:
        """See KeyMoves."""
        await self._store.begin_key_move(fingerprint, version)

    async def older_people(self, version: int, most: int) -> Sequence[Sequence[bytes]]:
        """See KeyMoves."""
        return await self._store.older_people(version, most)

    async def holders(self, ids: Sequence[RecordId]) -> Sequence[bytes]:
        """See RecordKeyMoves."""
        return await self._store.holders(ids)

    async def move_keys(self, moves: Mapping[bytes, bytes]) -> None:
        """See KeyMoves."""
        await self._store.move_keys(moves)

    async def end_key_move(self, version: int) -> bool:
        """See KeyMoves."""
        return await self._store.end_key_move(version)

    async def settle(self, at: Instant, now: Instant) -> None:
        """See Settling."""
        await self._store.settle(at, now)

    async def laboratories(self, after: int) -> Sequence[LaboratoryRow]:
        """See LaboratoryLog."""
        return await self._store.laboratories(after)

    async def batches(self, session: str) -> int:
        """See IntakeSessions."""
        return await self._store.batches(session)

    async def forget_answers(self, before: Instant) -> int:
        """See AnswerLog."""
        return await self._store.forget_answers(before)

    async def head(self) -> Head:
        """See FeedLog."""
        return await self._store.head()

    async def mark(self, sequence: int) -> bytes:
        """See FeedLog."""
        return await self._store.mark(sequence)

    async def cursors(self) -> Mapping[str, Cursor]:
        """See Cursors."""
        return await self._store.cursors()

    async def note_lag(self, lag: Lag) -> None:
        """See LagLog."""
        await self._store.note_lag(lag)

    async def lags(self) -> Sequence[Lag]:
        """See LagLog."""
        return await self._store.lags()

    async def due_copies(self, regions: Sequence[str], most: int) -> Sequence[DueCopy]:
        """See CopyQueue."""
        return await self._store.due_copies(regions, most)

    async def copies_done(self, done: Sequence[DueCopy]) -> None:
        """See CopyQueue."""
        await self._store.copies_done(done)

    async def purge(self, before: Instant, position: int, most: int) -> Purged:
        """See RecordPurge."""
        return await self._store.purge(before, position, most)

    async def person_keys(self, after: bytes, most: int) -> Sequence[bytes]:
        """See PersonRoll: the keys as they stand there, in their order."""
        return await self._store.person_keys(after, most)

    async def weigh(self, most: int) -> int:
        """See Weighing."""
        return await self._store.weigh(most)

    async def ping(self) -> None:
        """See RecordStore."""
        await self._store.ping()

    async def close(self) -> None:
        """See RecordStore."""
        await self._store.close()


def _of_version(touch: Touch, state: KeyState) -> Touch:
    return replace(touch, key_version=state.version)


def _of_asked(stored: People, meant: Mapping[bytes, bytes]) -> People:
    """Returns what was read of each key as that of the person whom it was asked for."""
    records: dict[bytes, list[CurrentRecord]] = {}
    left_out: dict[bytes, Mapping[str, LeftOut]] = {}
    for key, of_key in stored.records.items():
        person = meant[key]
        records.setdefault(person, []).extend(
            one._replace(person_key=person, body=with_key(one.body, person)) for one in of_key
        )
    for key, left in stored.left_out.items():
        left_out.setdefault(meant[key], left)
    return stored._replace(records=records, left_out=left_out)
