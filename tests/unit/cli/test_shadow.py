"""A region's own answers beside the mesh's: what is compared, what is said of a difference, which files are refused."""

import json
from typing import Any

import pytest
from hutong.common.v1.error_pb2 import Error, FieldViolation
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.lookup.v1.evidence_service_pb2 import SourceCoverage, SourceStatus
from hutong.verdict.v1.verdict_pb2 import Colour, PolicyRef, Reason, Status, Verdict
from hutong.verdict.v1.verdict_service_pb2 import VerdictOutcome

from cli.shadow.comparison import Agreement, Difference, compare
from cli.shadow.questions import Answer, QuestionError, query_of, read_question
from services.common.instants import parse_rfc3339, to_timestamp

NUMBER = "430102190511116063"
UNTIL = "2022-08-09T12:00:00+08:00"


def line(answer: Any = None, **fields: Any) -> bytes:
    """Returns a line of the file."""
    whole = {"document": {"type": "RESIDENT_ID", "number": NUMBER}, "answer": answer or {"status": "RECOGNISED"}}
    return json.dumps(whole | fields).encode()


def outcome(status: Status.ValueType = Status.STATUS_RECOGNISED, **fields: Any) -> VerdictOutcome:
    """Returns what the mesh says."""
    policy = PolicyRef(policy_id="430000-2022-07-02")
    return VerdictOutcome(verdict=Verdict(status=status, colour=Colour.COLOUR_GREEN, policy=policy, **fields))


SAME: dict[str, Any] = {"days_since_test": 1, "valid_until": to_timestamp(parse_rfc3339(UNTIL))}


def test_the_same_answer_is_the_same_in_any_offset():
    """An instant is compared, and not its text."""
    own = Answer("RECOGNISED", "GREEN", 1, "2022-08-09T04:00:00Z")
    assert (Agreement.SAME, (), ()) == compare(own, outcome(**SAME))


@pytest.mark.parametrize(
    ("own", "difference"),
    [
        (Answer("NOT_RECOGNISED"), Difference("status", "NOT_RECOGNISED", "RECOGNISED")),
        (Answer("RECOGNISED", colour="RED"), Difference("colour", "RED", "GREEN")),
        (Answer("RECOGNISED", days_since_test=0), Difference("daysSinceTest", "0", "1")),
        (Answer("RECOGNISED", days_since_test=None), Difference("daysSinceTest", "none", "1")),
        (Answer("RECOGNISED", valid_until=None), Difference("validUntil", "none", UNTIL)),
        (
            Answer("RECOGNISED", valid_until="2022-08-09T12:00:01+08:00"),
            Difference("validUntil", "2022-08-09T12:00:01+08:00", UNTIL),
        ),
    ],
    ids=lambda value: value.field if isinstance(value, Difference) else "",
)
def test_every_field_that_the_region_answers_is_compared(own, difference):
    """And the difference is named with both values; what the region leaves out is not compared."""
    comparison = compare(own, outcome(**SAME))
    assert (Agreement.DIFFERENT, [difference]) == (comparison.agreement, comparison.differences)


def test_a_difference_says_why_the_mesh_answered_so():
    """The policy, every reason, and the sources that did not answer."""
    reason = Reason(code="WINDOW_EXPIRED", clause="result-anywhere", text=LocalizedText(zh="过期", en="Too old"))
    silent = SourceCoverage(source="110000", status=SourceStatus.SOURCE_STATUS_UNREACHABLE)
    answered = SourceCoverage(source="430000", status=SourceStatus.SOURCE_STATUS_OK)
    verdict = outcome(Status.STATUS_NOT_RECOGNISED, reasons=[reason], coverage=[silent, answered])
    assert [
        "policy 430000-2022-07-02",
        "reason WINDOW_EXPIRED (result-anywhere): 过期 Too old",
        "source 110000: UNREACHABLE",
    ] == list(compare(Answer("RECOGNISED"), verdict).why)


def test_what_the_mesh_cannot_tell_is_no_difference_in_the_rules():
    """An outage is UNANSWERED; where the region could not tell either, both say the same."""
    undetermined = outcome(Status.STATUS_UNDETERMINED)
    assert Agreement.UNANSWERED == compare(Answer("RECOGNISED"), undetermined).agreement
    assert Agreement.SAME == compare(Answer("UNDETERMINED"), undetermined).agreement


def test_a_question_that_the_mesh_refuses_is_unanswered():
    """With the reason of each field."""
    violation = FieldViolation(field="subject.document.number", reason="DOCUMENT_CHECK", message=LocalizedText(en="no"))
    refused = VerdictOutcome(error=Error(code=3, reason="INVALID_ARGUMENT", violations=[violation]))
    comparison = compare(Answer("RECOGNISED"), refused)
    assert Agreement.UNANSWERED == comparison.agreement
    assert "INVALID_ARGUMENT" in comparison.why[0]
    assert "subject.document.number: DOCUMENT_CHECK" in comparison.why[1]


def test_a_question_is_asked_as_it_stands():
    """Instant, scope, scene and date of birth go along."""
    asked = line(at=UNTIL, scope="LOCAL", scene="HOTEL", dateOfBirth="1905-11-11")
    query = query_of(read_question(asked), "430000")
    assert (NUMBER, "430000", "1905-11-11") == (query.subject.document.number, query.region, query.date_of_birth)
    assert (1, 5, to_timestamp(parse_rfc3339(UNTIL))) == (query.scope, query.scene, query.at)
    assert not query_of(read_question(line()), "430000").HasField("at")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (b"{", "malformed|truncated"),
        (b"\xff", "malformed|invalid|utf-8"),
        (b"[]", "object"),
        (line(region="430000"), "region"),
        (line(document={"type": "RESIDENT_ID"}), "number"),
        (line(document={"type": "UNSPECIFIED", "number": NUMBER}), "document.type"),
        (line(document={"type": "RESIDENT_ID", "number": int(NUMBER)}), "document.number"),
        (line({"colour": "GREEN"}), "status"),
        (line({"status": "GREEN"}), "answer.status"),
        (line({"status": "RECOGNISED", "colour": "BLUE"}), "answer.colour"),
        (line({"status": "RECOGNISED", "daysSinceTest": "1"}), "answer.daysSinceTest"),
        (line({"status": "RECOGNISED", "validUntil": "2022-08-09"}), "answer.validUntil"),
        (line(at="2022-08-09T12:00:00"), "at"),
        (line(scene="SPACE"), "scene"),
        (line(scope="BOTH"), "scope"),
    ],
    ids=range(15),
)
def test_a_line_that_cannot_be_used_names_its_field(text, field):
    """And never the document's number."""
    with pytest.raises(QuestionError, match=f"(?i){field}") as raised:
        read_question(text)
    assert NUMBER not in str(raised.value)
