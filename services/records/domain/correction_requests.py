"""Correction requests: what people say is wrong with their own records, and what the laboratory answers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from hutong.records.v1.correction_service_pb2 import CorrectionAnswer, CorrectionRequestKind
from hutong.records.v1.record_pb2 import RecordKind

from services.common.errors import AlreadyExists, FailedPrecondition, NotFound, Violation
from services.common.instants import DAY, Instant
from services.common.requests import fields
from services.common.requests.violations import violation
from services.records.domain.decisions import record_not_found, record_retracted
from services.records.domain.revisions import History, RecordId, laboratory_of

WAITING = CorrectionAnswer.CORRECTION_ANSWER_UNSPECIFIED
CORRECTED = CorrectionAnswer.CORRECTION_ANSWER_CORRECTED
STANDS = CorrectionAnswer.CORRECTION_ANSWER_STANDS
FORWARDED = CorrectionAnswer.CORRECTION_ANSWER_FORWARDED
RESULT_LATE = CorrectionRequestKind.CORRECTION_REQUEST_KIND_RESULT_LATE

MOST_TEXT = 200
"""Characters a person may write."""
MOST_WAITING = 10
"""Requests of one person that may wait in one store."""
MOST_A_DAY = 20
"""Requests of one person that one store takes in 24 hours."""
MOST_OF_PERSON = 100
"""So many of a person's requests, the newest, are looked at and listed."""
SUPERVISION_ASKS = "监督催报 Supervision asks for the result"
"""The words before what supervision writes: in the queue of a laboratory, and before the person whose sample waits."""

_RESULT = RecordKind.RECORD_KIND_RESULT
_SAMPLING = RecordKind.RECORD_KIND_SAMPLING
_ONLY_OF: Mapping[int, int] = {
    CorrectionRequestKind.CORRECTION_REQUEST_KIND_WRONG_RESULT: _RESULT,
    RESULT_LATE: _SAMPLING,
}
"""What can be wrong with records of one kind alone."""

_kind = fields.enumerated(
    CorrectionRequestKind.values(), "CORRECTION_REQUEST_KIND", "纠错类别", "kind of correction request"
)
_answer = fields.enumerated(CorrectionAnswer.values(), "CORRECTION_ANSWER", "答复", "answer")


@dataclass(frozen=True, slots=True)
class NewCorrectionRequest:
    """One request to keep, about a revision of a record; `laboratory` is the one whose record it is."""

    correction_request_id: str
    id: RecordId
    revision: int
    person_key: bytes
    laboratory: str
    kind: int
    text: str


@dataclass(frozen=True, slots=True)
class StoredCorrectionRequest:
    """One request as it is stored. Instants are of this store's commits; `answered_at` None while it waits."""

    number: int
    correction_request_id: str
    region: str
    source_id: str
    revision: int
    person_key: bytes
    laboratory: str
    kind: int
    text: str
    requested_at: Instant
    answer: int
    corrected_by: int
    forwarded_to: str
    answer_text: str
    answered_by: str
    answered_at: Instant | None

    @property
    def id(self) -> RecordId:
        """The record it is about."""
        return RecordId(self.region, self.source_id)

    @property
    def closed(self) -> bool:
        """Tells if it is answered for good."""
        return self.answer in (CORRECTED, STANDS)


@dataclass(frozen=True, slots=True)
class Asked:
    """A person's request: `person_keys` are those of all their documents."""

    id: RecordId
    person_keys: Collection[bytes]
    kind: int
    text: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A laboratory's answer to a request. `corrected_by` is 0 unless it is CORRECTED."""

    correction_request_id: str
    answer: int
    corrected_by: int
    forwarded_to: str
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class CorrectionRequestCount:
    """The requests of one kind about one laboratory's records, by what became of them; `waiting_since` is None where
    none waits."""

    laboratory: str
    kind: int
    waiting: int
    corrected: int
    standing: int
    forwarded: int
    waiting_since: Instant | None


def request_violations(kind: int, text: str) -> list[Violation]:
    """Everything wrong with what a person writes. Reasons CORRECTION_REQUEST_KIND_*, TEXT_TOO_LONG, TEXT_FORMAT,
    DOCUMENT_NUMBER_NOT_ALLOWED."""
    return _kind(kind, "kind") + text_violations(text)


def text_violations(text: str) -> list[Violation]:
    """Everything wrong with the text of a request. Reasons TEXT_TOO_LONG, TEXT_FORMAT, DOCUMENT_NUMBER_NOT_ALLOWED."""
    if len(text) > MOST_TEXT:
        return violation("text", "TEXT_TOO_LONG", "说明不得超过200字", "The text has at most 200 characters")
    if not all(character.isprintable() or character == "\n" for character in text):
        return violation("text", "TEXT_FORMAT", "说明含不可见字符", "The text has invisible characters")
    return fields.no_number(text, "text")


def answer_violations(answered: Answered) -> list[Violation]:
    """Everything wrong with an answer. Reasons CORRECTION_REQUEST_ID_REQUIRED, CORRECTION_ANSWER_*, CAUSE_*,
    FORWARDED_TO_*, CORRECTED_BY_NOT_ALLOWED."""
    wrong = _answer(answered.answer, "answer") + fields.cause(answered.text, "text")
    if not answered.correction_request_id:
        wrong += violation(
            "correction_request_id",
            "CORRECTION_REQUEST_ID_REQUIRED",
            "须填写纠错编号",
            "The correction request's id is required",
        )
    if answered.answer == FORWARDED:
        wrong += fields.printable_id(answered.forwarded_to, "forwarded_to", "FORWARDED_TO", "转交对象", "receiver")
    elif answered.forwarded_to:
        wrong += violation(
            "forwarded_to", "FORWARDED_TO_NOT_ALLOWED", "仅转交时填写", "Only what is forwarded has a receiver"
        )
    if answered.corrected_by < 0 or (answered.corrected_by and answered.answer != CORRECTED):
        wrong += violation(
            "corrected_by",
            "CORRECTED_BY_NOT_ALLOWED",
            "仅已更正时填写版本号",
            "Only what was corrected has a correcting revision",
        )
    return wrong


def correction_request_not_found() -> NotFound:
    """Returns the error for a request that is not here."""
    return NotFound("CORRECTION_REQUEST_NOT_FOUND", "没有该纠错请求", "There is no such correction request")


def request(
    asked: Asked, history: History, known: Sequence[StoredCorrectionRequest], now: Instant
) -> NewCorrectionRequest | StoredCorrectionRequest:
    """Returns the request to keep or, where the same waits already, that one. `known` are this person's newest
    requests.

    Raises NotFound (RECORD_NOT_FOUND), AlreadyExists (CORRECTION_REQUEST_OPEN) and FailedPrecondition
    (RECORD_RETRACTED, RECORD_IS_COPY, CORRECTION_KIND_UNFIT, TOO_MANY_CORRECTION_REQUESTS).
    """
    if not history or history[-1].person_key not in asked.person_keys:
        # Another person's record is none of theirs: whether there is one is not said.
        raise record_not_found()
    if history[-1].retracted:
        raise record_retracted(history[-1])
    for one in known:
        if (one.id, one.kind) == (asked.id, asked.kind) and not one.closed:
            if one.text == asked.text:
                return one
            raise AlreadyExists(
                "CORRECTION_REQUEST_OPEN",
                "同类纠错已在等待答复",
                "A request of this kind about this record waits for its answer",
                {"correction_request_id": one.correction_request_id},
            )
    _check_kind(asked.kind, history)
    waiting = sum(one.answer == WAITING for one in known)
    lately = sum(one.requested_at > now - DAY for one in known)
    if waiting >= MOST_WAITING or lately >= MOST_A_DAY:
        raise FailedPrecondition(
            "TOO_MANY_CORRECTION_REQUESTS",
            f"至多{MOST_WAITING}项等待答复，每日至多{MOST_A_DAY}项",
            f"At most {MOST_WAITING} requests wait for an answer, and {MOST_A_DAY} are taken a day",
        )
    return _new(asked, history, known)


def result_request(
    record: RecordId, text: str, history: History, known: Sequence[StoredCorrectionRequest]
) -> NewCorrectionRequest | StoredCorrectionRequest:
    """Returns supervision's request for a result that is late or, where one of that kind waits already, that one.
    `known` are the newest requests of the person whose sample it is.

    Raises NotFound (RECORD_NOT_FOUND) and FailedPrecondition (RECORD_RETRACTED, RECORD_IS_COPY, CORRECTION_KIND_UNFIT).
    """
    if not history:
        raise record_not_found()
    if history[-1].retracted:
        raise record_retracted(history[-1])
    _check_kind(RESULT_LATE, history)
    for one in known:
        if (one.id, one.kind) == (record, RESULT_LATE) and not one.closed:
            return one
    words = f"{SUPERVISION_ASKS}：{text}" if text else SUPERVISION_ASKS
    return _new(Asked(record, (history[-1].person_key,), RESULT_LATE, words), history, known)


def _check_kind(kind: int, history: History) -> None:
    content = history[-1].message().content
    if content.origin.source_id:
        raise FailedPrecondition(
            "RECORD_IS_COPY",
            "这是副本，请向原件所在地区纠错",
            "This is a copy; ask where the original is",
            {"origin_region": content.origin.region},
        )
    if _ONLY_OF.get(kind, content.kind) != content.kind:
        raise FailedPrecondition(
            "CORRECTION_KIND_UNFIT",
            "该记录不适用此类纠错：有结果的不会迟，没有结果的不会错",
            "A result is not late, and a sample that waits has no wrong result",
        )


def _new(asked: Asked, history: History, known: Sequence[StoredCorrectionRequest]) -> NewCorrectionRequest:
    current = history[-1]
    last = max((one.number for one in known), default=0)
    return NewCorrectionRequest(
        _id_of(asked, current.person_key, last),
        asked.id,
        current.revision,
        current.person_key,
        laboratory_of(history),
        asked.kind,
        asked.text,
    )


def _id_of(asked: Asked, person_key: bytes, after: int) -> str:
    parts = (*asked.id, person_key.hex(), str(asked.kind), str(after))
    return blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


def answer(stored: StoredCorrectionRequest | None, answered: Answered, history: History) -> Answered | None:
    """Returns how a request is answered, None when it was answered so before. `history` are the revisions that the
    person who asked has, or had, under the record's id.

    Raises NotFound (CORRECTION_REQUEST_NOT_FOUND) and FailedPrecondition (CORRECTION_REQUEST_ANSWERED,
    CORRECTION_NOT_MADE).
    """
    if stored is None:
        raise correction_request_not_found()
    newest = later_revision(stored, history)
    by = answered.corrected_by or (stored.corrected_by if stored.answer == CORRECTED else newest)
    corrected_by = by if answered.answer == CORRECTED else 0
    same = (stored.answer, stored.corrected_by, stored.forwarded_to, stored.answer_text) == (
        answered.answer,
        corrected_by,
        answered.forwarded_to,
        answered.text,
    )
    if same:
        return None
    if stored.closed:
        raise FailedPrecondition(
            "CORRECTION_REQUEST_ANSWERED", "该纠错请求已另有答复", "The correction request was answered otherwise"
        )
    if answered.answer == CORRECTED and not stored.revision < corrected_by <= newest:
        raise FailedPrecondition(
            "CORRECTION_NOT_MADE",
            "该记录此后没有这样的版本，请先更正或撤回",
            "The record has no such later revision: amend or retract it first",
            {"later_revision": str(newest)},
        )
    return Answered(
        answered.correction_request_id,
        answered.answer,
        corrected_by,
        answered.forwarded_to,
        answered.text,
        answered.by,
    )


def later_revision(stored: StoredCorrectionRequest, history: History) -> int:
    """Returns the newest revision after the one that a request is about, 0 where there is none."""
    newest = history[-1].revision if history else 0
    return newest if newest > stored.revision else 0
