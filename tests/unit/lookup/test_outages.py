"""The sources that were down at an instant are found from what was noted then."""

import time
from collections.abc import Sequence

from services.common.errors import Unavailable
from services.common.instants import SECOND, Instant
from services.lookup.domain.outages import ALL_SOURCES, NOTE_LIFETIME, RENEWAL, OutageNote, SourceState, down_at
from services.lookup.evidence.outages import Outages

NOW = Instant(1_790_000_000 * SECOND)


class OutageLog:
    """OutageLog in memory; fails while `broken`."""

    def __init__(self) -> None:
        self.kept: list[OutageNote] = []
        self.broken = False

    async def note(self, notes: Sequence[OutageNote]) -> None:
        """Appends."""
        if self.broken:
            raise Unavailable("STORE_UNAVAILABLE", "不可用", "Not available")
        self.kept += notes

    async def notes_at(self, instants: Sequence[Instant]) -> Sequence[Sequence[OutageNote]]:
        """Returns everything of the time before; what follows from it is for `down_at` to say."""
        return [
            [note for note in self.kept if instant - NOTE_LIFETIME < note.noted_at <= instant] for instant in instants
        ]


class Clock:
    """A clock that is set by hand, in seconds after NOW."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> Instant:
        """The present instant."""
        return Instant(NOW + int(self.seconds * SECOND))


def _of(notes: OutageLog, clock: Clock, replica: str = "one") -> Outages:
    return Outages(notes, replica, clock)


async def _saved(outages: Outages) -> None:
    await outages.saved(time.monotonic() + 5)


async def test_every_batch_has_an_instant_of_its_own() -> None:
    """Though the clock stands, or goes back; and what is noted later is later."""
    clock = Clock()
    outages = _of(OutageLog(), clock)
    first = outages.next_instant(clock())
    outages.went_down("nation")
    clock.seconds = -5
    second = outages.next_instant(clock())
    assert (list(first.down), list(second.down)) == ([], ["nation"])
    assert first.at + 1 < second.at
    assert outages.next_instant(Instant(NOW + 100 * SECOND)).at == NOW + 100 * SECOND


async def test_an_outage_is_between_its_notes() -> None:
    """What was said at any instant can be told again, and the notes are two."""
    notes, clock = OutageLog(), Clock()
    outages = _of(notes, clock)
    said = [outages.next_instant(clock())]
    outages.went_down("nation")
    said += [outages.next_instant(clock()), outages.next_instant(clock())]
    outages.came_back("nation")
    said.append(outages.next_instant(clock()))
    await _saved(outages)
    assert [note.state for note in notes.kept] == [SourceState.UP, SourceState.DOWN, SourceState.UP]
    clock.seconds = 1_000
    assert [set((await outages.down_at([moment.at]))[0]) for moment in said] == [set(moment.down) for moment in said]
    assert [list(moment.down) for moment in said] == [[], ["nation"], ["nation"], []]


async def test_questions_missed_say_nothing_of_others() -> None:
    """One batch that a source did not answer is noted for its own instant."""
    notes, clock = OutageLog(), Clock()
    outages = _of(notes, clock)
    before, missed, after = (outages.next_instant(clock()) for _ in range(3))
    outages.missed(missed, ["110000", "nation"])
    await _saved(outages)
    assert [set((await outages.down_at([moment.at]))[0]) for moment in (before, missed, after)] == [
        set(),
        {"110000", "nation"},
        set(),
    ]


async def test_a_long_outage_is_noted_anew_by_who_asks() -> None:
    """Seldom, and while anybody asks it never lapses."""
    notes, clock = OutageLog(), Clock()
    outages = _of(notes, clock)
    outages.went_down("nation")
    said = []
    for seconds in range(0, 600, 7):
        clock.seconds = seconds
        said.append(outages.next_instant(clock()))
    await _saved(outages)
    assert len(notes.kept) <= 2 + 600 * SECOND / RENEWAL
    assert all([list((await outages.down_at([moment.at]))[0]) == ["nation"] for moment in said])


async def test_an_outage_nobody_saw_the_end_of_ends_by_itself() -> None:
    """The process died in it, and no other took its place."""
    down = OutageNote(NOW, "nation", "one", SourceState.DOWN)
    assert down_at([down], Instant(NOW + NOTE_LIFETIME - 1)) == {"nation"}
    notes, clock = OutageLog(), Clock()
    notes.kept.append(down)
    clock.seconds = 3_600
    outages = _of(notes, clock, "two")
    assert set((await outages.down_at([Instant(NOW + NOTE_LIFETIME - 1)]))[0]) == {"nation"}
    assert set((await outages.down_at([Instant(NOW + NOTE_LIFETIME)]))[0]) == set()


async def test_a_process_begins_with_nobody_down() -> None:
    """What the one before it, of the same name, left behind is over from its first question on."""
    notes, clock = OutageLog(), Clock()
    before = _of(notes, clock)
    before.went_down("nation")
    before.went_down("110000")
    await _saved(before)
    clock.seconds = 2
    after = _of(notes, clock)
    moment = after.next_instant(clock())
    await _saved(after)
    assert list(moment.down) == []
    assert set((await after.down_at([moment.at]))[0]) == set()
    assert set((await after.down_at([Instant(NOW + SECOND)]))[0]) == {"nation", "110000"}


async def test_what_one_of_several_could_not_ask_counts_as_not_asked() -> None:
    """Which of them answered then is not known; the end of one's outage is not that of another's."""
    notes = [
        OutageNote(Instant(NOW + 1), "nation", "one", SourceState.DOWN),
        OutageNote(Instant(NOW + 2), "nation", "two", SourceState.DOWN),
        OutageNote(Instant(NOW + 3), "nation", "one", SourceState.UP),
        OutageNote(Instant(NOW + 4), ALL_SOURCES, "two", SourceState.UP),
    ]
    assert [down_at(notes[:count], Instant(NOW + count)) for count in range(5)] == [
        set(),
        {"nation"},
        {"nation"},
        {"nation"},
        set(),
    ]


async def test_notes_that_cannot_be_written_are_written_later() -> None:
    """A question is answered all the same; the next one tries again."""
    notes, clock = OutageLog(), Clock()
    notes.broken = True
    outages = _of(notes, clock)
    outages.went_down("nation")
    await _saved(outages)
    assert notes.kept == []
    notes.broken = False
    await _saved(outages)
    assert [note.state for note in notes.kept] == [SourceState.UP, SourceState.DOWN]
