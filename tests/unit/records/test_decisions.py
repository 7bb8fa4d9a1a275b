"""Submissions, amendments and retractions are decided rightly, over any sequence of them."""

from hutong.records.v1.record_pb2 import RecordContent, RevisionAction
from hutong.records.v1.record_write_service_pb2 import Correction, CorrectionKind, SubmitOutcome
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.common.errors import ServiceError
from services.common.instants import HOUR, Instant, to_timestamp
from services.records.domain.content import digest, placed_at, stamp
from services.records.domain.corrections import decide
from services.records.domain.decisions import Submission, decide_amendment, decide_retraction, decide_submission
from services.records.domain.gravity import gravity
from services.records.domain.revisions import NewRevision, RecordId, StoredRevision, copy_of

RECORD = RecordId("430000", "S1")
CORRECTIONS = {
    "submit": None,
    "correct": Correction(kind=CorrectionKind.CORRECTION_KIND_AMENDMENT, cause="corrected"),
    "withdraw": Correction(kind=CorrectionKind.CORRECTION_KIND_RETRACTION, cause="mistyped"),
}
CONTESTED = RevisionAction.REVISION_ACTION_CONTESTED
NOON = 1_659_672_000 * 1_000_000


def content(kind: int, sampled: int | None, tube: int, outcome: int, laboratory: str = "430000-a") -> RecordContent:
    """A valid content: a result is reported an hour after its sample."""
    made = RecordContent(kind=kind, tube=tube, laboratory=laboratory, site="430100", channel=1)  # type: ignore[arg-type]
    if sampled is not None:
        made.sampled_at.CopyFrom(to_timestamp(Instant(NOON + sampled * HOUR)))
    if kind == 2:
        made.reported_at.CopyFrom(to_timestamp(Instant(NOON + (sampled or 0) * HOUR + HOUR)))
        made.result = outcome  # type: ignore[assignment]
    return made


samplings = st.builds(lambda at, tube: content(1, at, tube, 0), st.integers(0, 1), st.sampled_from([1, 10]))
results = st.builds(
    lambda at, tube, outcome: content(2, at, tube, outcome),
    st.one_of(st.none(), st.integers(0, 1)),
    st.sampled_from([1, 10]),
    st.integers(1, 3),
)
contents = st.one_of(samplings, results)
people = st.sampled_from([b"a" * 16, b"b" * 16])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), people, contents),
        st.tuples(st.just("correct"), people, contents),
        st.tuples(st.just("withdraw"), people, st.just(RecordContent())),
        st.tuples(st.just("amend"), st.integers(1, 4), contents),
        st.tuples(st.just("retract"), st.integers(1, 4), st.just(None)),
    ),
    max_size=12,
)


def run(history: list[StoredRevision], step: tuple[str, object, object]) -> tuple[int | str, NewRevision | None]:
    """Takes one step: the outcome or the error's reason, and what is appended."""
    what, first, second = step
    try:
        if what in CORRECTIONS:
            assert isinstance(first, bytes)
            assert isinstance(second, RecordContent)
            decision = decide(history, Submission(RECORD, first, second, digest(second), CORRECTIONS[what]))
            return decision.outcome, decision.appended
        assert isinstance(first, int)
        if what == "amend":
            assert isinstance(second, RecordContent)
            made = decide_amendment(history, RECORD, first, second, "cause")
        else:
            made = decide_retraction(history, RECORD, first, "cause")
        return what, made if isinstance(made, NewRevision) else None
    except ServiceError as error:
        return error.reason, None


def replay(all_steps: list[tuple[str, object, object]]) -> list[StoredRevision]:
    """The history that any steps leave."""
    history: list[StoredRevision] = []
    for step in all_steps:
        _, appended = run(history, step)
        if appended is not None:
            history.append(appended.as_stored())
    return history


@given(steps)
@settings(max_examples=300, deadline=None)
def test_a_history_only_grows_by_one_and_never_changes_its_person(
    all_steps: list[tuple[str, object, object]],
) -> None:
    """Revisions count from 1 without gaps, are all of one person, and nothing follows a retraction."""
    history = replay(all_steps)
    assert [revision.revision for revision in history] == list(range(1, len(history) + 1))
    assert len({revision.person_key for revision in history}) <= 1
    assert not any(revision.retracted for revision in history[:-1])


@given(steps, contents, people)
@settings(max_examples=300, deadline=None)
def test_submitting_twice_is_submitting_once(
    all_steps: list[tuple[str, object, object]], said: RecordContent, who: bytes
) -> None:
    """Whatever the history, the same submission right again appends nothing, and says so."""
    history = replay(all_steps)
    outcome, appended = run(history, ("submit", who, said))
    if appended is not None:
        history.append(appended.as_stored())
    again, nothing = run(history, ("submit", who, said))
    assert nothing is None
    if outcome in (SubmitOutcome.SUBMIT_OUTCOME_CREATED, SubmitOutcome.SUBMIT_OUTCOME_RESULT_ADDED):
        assert again == SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED
    else:
        assert again == outcome


@given(steps)
@settings(max_examples=300, deadline=None)
def test_a_late_duplicate_of_any_revision_changes_nothing(all_steps: list[tuple[str, object, object]]) -> None:
    """Every content a record ever had is a duplicate, before a retraction and after it, also when it comes as a
    declared correction; what was only contested goes on being a conflict, unless it is declared."""
    history = replay(all_steps)
    for revision in history:
        said = revision.message().content
        newest = next(one for one in reversed(history) if one.digest == revision.digest)
        for what in ("submit", "correct"):
            if newest.contested and what == "correct" and not history[-1].retracted:
                continue
            outcome, appended = run(history, (what, revision.person_key, said))
            assert appended is None
            if history[-1].retracted:
                assert outcome == SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED
            elif newest.contested:
                assert outcome == SubmitOutcome.SUBMIT_OUTCOME_CONFLICT
            else:
                assert outcome == SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED


@given(steps, contents, people)
@settings(max_examples=300, deadline=None)
def test_an_undeclared_contradiction_never_makes_a_record_milder(
    all_steps: list[tuple[str, object, object]], said: RecordContent, who: bytes
) -> None:
    """What a submission appends without being declared a correction is the result of a sampling record or graver than
    what stands; and after a conflict of the same person, what stands is no milder than what was offered, unless it was
    a declared correction of it."""
    history = replay(all_steps)
    outcome, appended = run(history, ("submit", who, said))
    if appended is not None and history:
        contested = appended.as_stored().contested
        assert contested == (outcome == SubmitOutcome.SUBMIT_OUTCOME_CONFLICT)
        assert not contested or gravity(said) > gravity(history[-1].message().content)
    if outcome == SubmitOutcome.SUBMIT_OUTCOME_CONFLICT and who == history[-1].person_key and not history[-1].retracted:
        standing = (appended.as_stored() if appended else history[-1]).message()
        amended = standing.action == RevisionAction.REVISION_ACTION_AMENDED
        assert gravity(standing.content) >= gravity(said) or amended


@given(steps, contents, people)
@example(
    [("submit", b"a" * 16, content(1, 0, 1, 0)), ("submit", b"a" * 16, content(2, 1, 1, 3))],
    content(2, None, 1, 2),
    b"a" * 16,
)
@settings(max_examples=300, deadline=None)
def test_correcting_twice_is_correcting_once(
    all_steps: list[tuple[str, object, object]], said: RecordContent, who: bytes
) -> None:
    """A declared correction right again, and a withdrawal right again, append nothing."""
    history = replay(all_steps)
    for what in ("correct", "withdraw"):
        _, appended = run(history, (what, who, said))
        if appended is not None:
            history.append(appended.as_stored())
        _, nothing = run(history, (what, who, said))
        assert nothing is None


@given(steps, st.integers(1, 13), contents)
@settings(max_examples=300, deadline=None)
def test_only_the_current_revision_can_be_replaced(
    all_steps: list[tuple[str, object, object]], named: int, said: RecordContent
) -> None:
    """An amendment of another revision appends nothing; of the current one, it appends what was said."""
    history = replay(all_steps)
    outcome, appended = run(history, ("amend", named, said))
    if appended is not None:
        assert named == len(history)
        assert not history[-1].retracted
        assert appended.digest == digest(said)
    elif outcome == "amend":
        assert history[-1].digest == digest(said)
    else:
        assert outcome in ("RECORD_NOT_FOUND", "REVISION_MISMATCH", "RECORD_RETRACTED")


@given(contents, contents)
def test_contents_are_the_same_exactly_when_their_digests_are(one: RecordContent, other: RecordContent) -> None:
    """The digest is the content's identity."""
    assert (one == other) == (digest(one) == digest(other))


def test_every_field_is_part_of_the_identity() -> None:
    """A change of any one field is other content."""
    base = content(2, 0, 1, 1)
    changed = []
    for name, value in {
        "kind": 1,
        "result": 2,
        "tube": 10,
        "laboratory": "430000-b",
        "site": "430200",
        "channel": 5,
    }.items():
        other = RecordContent()
        other.CopyFrom(base)
        setattr(other, name, value)
        changed.append(other)
    for name in ("sampled_at", "reported_at"):
        other = RecordContent()
        other.CopyFrom(base)
        getattr(other, name).seconds += 1
        changed.append(other)
        other = RecordContent()
        other.CopyFrom(base)
        other.ClearField(name)  # type: ignore[arg-type]
        changed.append(other)
    for region, source_id, revision in (("", "", 0), ("440000", "", 0), ("440000", "G1", 0), ("440000", "G1", 1)):
        other = RecordContent()
        other.CopyFrom(base)
        other.origin.region, other.origin.source_id, other.origin.revision = region, source_id, revision
        changed.append(other)
    digests = {digest(made) for made in [base, *changed]}
    assert len(digests) == 1 + len(changed)


def test_the_identity_never_changes_with_the_program() -> None:
    """Digests are stored: this one was computed when the form was chosen."""
    assert digest(content(2, 0, 1, 1)).hex() == "6a9bedfaf4ef904ff5171706c9223e0d"


def test_a_stamp_completes_a_serialised_record() -> None:
    """A record stamped at its commit parses as if it had been serialised with the instant."""
    decision = decide_submission((), Submission(RECORD, b"a" * 16, content(2, 0, 1, 1), b"d" * 16))
    assert decision.appended is not None
    stamped = StoredRevision(1, b"a" * 16, b"", False, decision.appended.body + stamp(Instant(NOON + 1), "")).message()
    assert stamped.recorded_at == to_timestamp(Instant(NOON + 1))
    assert stamped.content == content(2, 0, 1, 1)
    assert copy_of(stamped).recorded_at == NOON + 1


def test_a_record_stands_where_it_was_sampled_or_else_reported() -> None:
    """A result without a sampling time is placed by its report."""
    assert placed_at(content(2, 1, 1, 1)) == NOON + HOUR
    assert placed_at(content(2, None, 1, 1)) == NOON + HOUR
    assert placed_at(content(1, 0, 1, 0)) == NOON


def test_the_result_of_a_sampling_record_says_why_it_was_revised() -> None:
    """The revision that adds a result is an amendment, and every amendment has a cause."""
    history = replay([("submit", b"a" * 16, content(1, 0, 1, 0)), ("submit", b"a" * 16, content(2, 0, 1, 1))])
    last = history[-1].message()
    assert last.action == RevisionAction.REVISION_ACTION_AMENDED
    assert last.cause == "检测结果已报告 / result reported"
