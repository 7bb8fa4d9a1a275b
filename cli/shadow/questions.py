"""The file of questions that `hutong shadow` reads: JSON Lines, each a question with the region's own answer to it."""

from collections.abc import Iterable

import msgspec
from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject
from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1.scene_pb2 import Scene
from hutong.verdict.v1.verdict_pb2 import Colour, Status
from hutong.verdict.v1.verdict_service_pb2 import VerdictQuery

from services.common.instants import parse_rfc3339, to_timestamp


class QuestionError(ValueError):
    """A line cannot be used; the message names the field and says why. It never has the document's number."""


class AskedDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document of whoever is asked about, as the gateway takes it: RESIDENT_ID and a number."""

    type: str
    number: str


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A region's own answer. What is left out is not compared; null says that there is no such value."""

    status: str
    colour: str | msgspec.UnsetType = msgspec.UNSET
    days_since_test: int | msgspec.UnsetType | None = msgspec.UNSET
    valid_until: str | msgspec.UnsetType | None = msgspec.UNSET
    """RFC 3339, with an offset."""


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One line. `at` is RFC 3339 with an offset; without it the mesh judges as of now."""

    document: AskedDocument
    answer: Answer
    at: str | None = None
    scope: str = "UNSPECIFIED"
    scene: str = "UNSPECIFIED"
    date_of_birth: str = ""


def read_question(line: bytes) -> Question:
    """Returns the question of one line. Raises QuestionError."""
    try:
        question = msgspec.json.decode(line, type=Question)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise QuestionError(str(error)) from None
    _known("document.type", question.document.type, "DOCUMENT_TYPE_", DocumentType.keys())
    _known("scope", question.scope, "SCOPE_", Scope.keys(), unspecified=True)
    _known("scene", question.scene, "SCENE_", Scene.keys(), unspecified=True)
    _known("answer.status", question.answer.status, "STATUS_", Status.keys())
    if question.answer.colour is not msgspec.UNSET:
        _known("answer.colour", question.answer.colour, "COLOUR_", Colour.keys())
    _instant("at", question.at)
    if question.answer.valid_until is not msgspec.UNSET:
        _instant("answer.validUntil", question.answer.valid_until)
    return question


def query_of(question: Question, region: str) -> VerdictQuery:
    """Returns the question as the contract has it, asked of a region."""
    query = VerdictQuery(
        subject=Subject(
            document=Document(
                type=DocumentType.Value("DOCUMENT_TYPE_" + question.document.type), number=question.document.number
            )
        ),
        region=region,
        scope=Scope.Value("SCOPE_" + question.scope),
        scene=Scene.Value("SCENE_" + question.scene),
        date_of_birth=question.date_of_birth,
    )
    if question.at is not None:
        query.at.CopyFrom(to_timestamp(parse_rfc3339(question.at)))
    return query


def _known(field: str, word: str, prefix: str, names: Iterable[str], *, unspecified: bool = False) -> None:
    words = [name.removeprefix(prefix) for name in names]
    if not unspecified:
        words.remove("UNSPECIFIED")
    if word not in words:
        raise QuestionError(f"{field}: one of {', '.join(words)}")


def _instant(field: str, text: str | None) -> None:
    if text is not None:
        try:
            parse_rfc3339(text)
        except ValueError as error:
            raise QuestionError(f"{field}: {error}") from None
