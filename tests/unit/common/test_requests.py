"""Every service allows the same in a field, and refuses it for the same reason."""

from functools import partial

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject
from hutong.lookup.v1.region_directory_service_pb2 import ListRegionsRequest
from hutong.lookup.v1.region_pb2 import Scope
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidArgument
from services.common.instants import SECOND, Instant, from_timestamp
from services.common.requests import batches, fields, paging
from services.common.requests.instants import SKEW, instant, known_at, read_instant
from services.common.requests.violations import MOST_NAMED, Violations, violation

NONE, LOCAL, NATIONAL = Scope.SCOPE_UNSPECIFIED, Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL
QUESTION = paging.digest(b"somebody")


def named(violations) -> list[tuple[str, str]]:
    """Field and reason of each violation."""
    return [(one.field, one.reason) for one in violations]


def refused(check, *args, **options) -> tuple[str, str]:
    """The field and the reason of a refusal."""
    with pytest.raises(InvalidArgument) as raised:
        check(*args, **options)
    (one,) = named(raised.value.violations)
    return one


@pytest.mark.parametrize(("count", "most"), [(1, 1000), (1000, 1000), (5000, 5000)])
def test_a_batch_within_its_limit_is_taken(count, most):
    """Both ends included."""
    batches.check_batch(count, "queries", most)


@pytest.mark.parametrize(("count", "most"), [(0, 1000), (1001, 1000), (5001, 5000)])
def test_a_batch_beyond_is_not(count, most):
    """Nor one with nothing in it."""
    assert ("queries", "BATCH_SIZE") == refused(batches.check_batch, count, "queries", most)


def test_a_page_has_its_default_and_its_most():
    """0 stands for the default; who asks for more than the most gets the most."""
    assert [100, 1, 1000, 1000] == [paging.page_size(asked) for asked in (0, 1, 1000, 1001)]
    assert [50, 200] == [paging.page_size(asked, 50, 200) for asked in (0, 201)]
    assert ("page_size", "PAGE_SIZE") == refused(paging.page_size, -1)


@pytest.mark.parametrize(
    ("kind", "position"), [(str, "110000"), (int, 7), (bytes, b"\x00" * 16), (tuple[int, str], (1, "中"))]
)
def test_a_token_gives_its_position_back(kind, position):
    """Whatever a page is ordered by."""
    assert position == paging.read_token(paging.write_token(QUESTION, position), QUESTION, kind)


def test_a_token_continues_no_other_question():
    """Neither another person's, nor the same request's with another field; the size of the page may change."""
    token = paging.write_token(QUESTION, "110000")
    assert ("page_token", "PAGE_TOKEN") == refused(paging.read_token, token, paging.digest(b"somebody else"), str)
    assert paging.digest_of(ListRegionsRequest()) == paging.digest_of(ListRegionsRequest(page_size=3, page_token="x"))


@given(st.text(max_size=40))
def test_what_is_no_token_is_refused(text):
    """Any text at all, with one reason."""
    assert ("page_token", "PAGE_TOKEN") == refused(paging.read_token, text, QUESTION, str)


def test_a_scope_is_one_of_two():
    """None will do where it is not required; a number of a later version is told from none."""
    for scope in (NONE, LOCAL, NATIONAL):
        assert [] == fields.scope(scope)
    for scope in (LOCAL, NATIONAL):
        assert [] == fields.scope(scope, required=True)
    assert [("scope", "SCOPE_REQUIRED")] == named(fields.scope(NONE, required=True))
    for required in (False, True):
        assert [("q.scope", "SCOPE_UNKNOWN")] == named(fields.scope(9, "q.scope", required=required))


@pytest.mark.parametrize(
    ("code", "reasons"),
    [("110000", []), ("", ["REGION_REQUIRED"]), ("990000", ["REGION_UNKNOWN"]), ("11", ["REGION_UNKNOWN"])],
)
def test_a_region_is_a_province_level_division(code, reasons):
    """With the field that named it."""
    assert [("queries[3].region", reason) for reason in reasons] == named(fields.region(code, "queries[3].region"))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("", True),
        ("123e4567-e89b-12d3-a456-426614174000", True),
        ("123E4567-E89B-12D3-A456-426614174000", True),
        ("123e4567e89b12d3a456426614174000", False),
        ("{123e4567-e89b-12d3-a456-426614174000}", False),
        ("123e4567-e89b-12d3-a456-42661417400０", False),
        ("again", False),
    ],
)
def test_a_request_id_is_a_uuid_in_its_one_form(text, right):
    """With hyphens, in either case, and nothing around it: one id is never taken for two."""
    assert ([] if right else [("request_id", "REQUEST_ID_FORMAT")]) == named(fields.request_id(text))


@pytest.mark.parametrize("rule", [fields.source_id, fields.cause, fields.laboratory_id])
@pytest.mark.parametrize("text", ["11010519491231002x", "s-11010519491231002x-1", "911124190505050129"])
def test_a_document_number_never_lands_elsewhere(rule, text):
    """Ids and causes are stored, logged and shown; the error does not repeat it."""
    ((_, reason),) = named(rule(text, "field"))
    assert "DOCUMENT_NUMBER_NOT_ALLOWED" == reason


def test_a_request_id_made_of_a_document_number_is_none():
    """Eighteen digits fit between the hyphens of a UUID, which is stored."""
    expected = [("request_id", "DOCUMENT_NUMBER_NOT_ALLOWED")]
    assert expected == named(fields.request_id("91112419-0505-0501-29ab-cdefabcdefab"))
    assert [] == named(fields.request_id("91112419-0505-0501-28ab-cdefabcdefab")), "its check digit is another"


def test_nor_does_the_subjects_own_number_of_any_type():
    """A passport's has no check by which it would be known."""
    passport = Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="e 1234 5678"))
    texts = {"source_id": "S-E12345678", "laboratory": "430000-xiangya"}
    expected = [("source_id", "DOCUMENT_NUMBER_NOT_ALLOWED")]
    assert expected == named(fields.not_the_subjects(texts, passport))
    for cut in ("E1234-5678", "S.E12/345:678", "e1234567-8000-4000-8000-abcdefabcdef"):
        assert expected == named(fields.not_the_subjects({"source_id": cut}, passport))
    assert [] == named(fields.not_the_subjects(texts, Subject(person_key=bytes(16))))


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (("", ""), []),
        (("430000", "S-1"), []),
        (("430000", ""), [("origin_source_id", "ORIGIN_INCOMPLETE")]),
        (("", "S-1"), [("origin_region", "ORIGIN_INCOMPLETE")]),
        (("990000", " S-1"), [("origin_region", "REGION_UNKNOWN"), ("origin_source_id", "SOURCE_ID_FORMAT")]),
    ],
)
def test_a_claim_names_its_origin_whole(origin, expected):
    """By region and id, or not at all."""
    assert expected == named(fields.origin(*origin))


@pytest.mark.parametrize(
    ("seconds", "nanos", "right", "right_for_knowledge"),
    [
        (-2_208_988_801, 0, False, False),
        (-2_208_988_800, 0, True, False),
        (-1, 0, True, False),
        (0, 0, True, True),
        (253_370_764_799, 999_999_999, True, True),
        (253_370_764_800, 0, False, False),
        (0, -1, False, False),
        (0, 1_000_000_000, False, False),
    ],
)
def test_an_instant_has_one_range(seconds, nanos, right, right_for_knowledge):
    """The years 1900 to 9998; an instant of knowledge is not before 1970."""
    timestamp = Timestamp(seconds=seconds, nanos=nanos)
    assert ([] if right else [("at", "INSTANT_RANGE")]) == named(instant(timestamp, "at"))
    assert ([] if right_for_knowledge else [("known_at", "INSTANT_RANGE")]) == named(known_at(timestamp))
    if right:
        assert from_timestamp(timestamp) == read_instant(timestamp, "at")


def test_what_is_not_yet_known_cannot_be_asked_for():
    """With an allowance for clocks; where no present is given, another service's clock may be far ahead."""
    now = Instant(1_660_000_000 * SECOND)
    ahead = Timestamp(seconds=(now + SKEW) // SECOND)
    assert [] == known_at(ahead, now=now)
    ahead.seconds += 1
    assert [("known_at", "KNOWN_AT_IN_FUTURE")] == named(known_at(ahead, now=now))
    assert [] == known_at(ahead)


def test_every_wrong_field_is_named_at_once():
    """Those found before, those of rules and those of readers, in order, as many as fit into an error."""
    violations = Violations(violation("at", "INSTANT_FORMAT", "时间", "time"))
    violations.add(fields.cause(""))
    assert 7 == violations.read(7, partial(paging.page_size, -1))
    assert 5 == violations.read(7, partial(paging.page_size, 5))
    with pytest.raises(InvalidArgument) as raised:
        violations.refuse()
    expected = [("at", "INSTANT_FORMAT"), ("cause", "CAUSE_REQUIRED"), ("page_size", "PAGE_SIZE")]
    assert expected == named(raised.value.violations)
    for _ in range(MOST_NAMED):
        violations.add(fields.cause(""))
    with pytest.raises(InvalidArgument) as raised:
        violations.refuse()
    assert MOST_NAMED == len(raised.value.violations)


def test_nothing_wrong_is_not_refused():
    """A request with no violation passes."""
    violations = Violations()
    violations.add(fields.cause("wrong tube"))
    violations.refuse()
    assert not violations
