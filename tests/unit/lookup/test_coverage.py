"""The answers of several sources make the coverage of one region."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Purpose

from services.common.regions import NATION
from services.lookup.evidence.fan_out import FanOut
from services.lookup.evidence.laboratory_tables import LaboratoryTables
from services.lookup.evidence.source_answers import OK, UNREACHABLE, SourceAnswer, SourceQuestion, unreachable

BEIJING, HUNAN = "110000", "430000"
DOWN = unreachable(HUNAN)


def answered(seconds: int) -> SourceAnswer:
    """An answer of Hunan as of an instant."""
    return SourceAnswer(HUNAN, OK, as_of=Timestamp(seconds=seconds))


def fan_out(*answers: SourceAnswer, past: bool = False) -> FanOut:
    """A question that was answered so, on a mesh of two regions."""
    question = SourceQuestion(Purpose.PURPOSE_SHOW_CODE, None)
    asked = FanOut(question, (BEIJING, HUNAN), LaboratoryTables(), past=past)
    for answer in answers:
        asked.add(answer)
    return asked


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([answered(10), answered(20)], (OK, 10)),
        ([answered(20), answered(10)], (OK, 10)),
        ([answered(10), DOWN], (UNREACHABLE, 0)),
        ([DOWN, answered(10)], (UNREACHABLE, 0)),
        ([DOWN, DOWN], (UNREACHABLE, 0)),
        ([], (UNREACHABLE, 0)),
    ],
)
def test_a_source_has_answered_when_it_answered_every_time(answers, expected):
    """One answer of two is no answer: "not found" would be told of those whom the other was about. Of two answers, the
    older instant counts."""
    asked = fan_out(unreachable(NATION), *answers)
    coverage = {one.source: (one.status, one.as_of.seconds) for one in asked.view(HUNAN).common.coverage}
    assert {HUNAN: expected, NATION: (UNREACHABLE, 0), BEIJING: (UNREACHABLE, 0)} == coverage


@pytest.mark.parametrize(
    ("nation", "expected"),
    [
        (unreachable(NATION), [BEIJING, HUNAN]),
        (SourceAnswer(NATION, OK, follows=(BEIJING, HUNAN)), []),
        (SourceAnswer(NATION, OK, follows=(BEIJING, HUNAN), silent={HUNAN: Timestamp()}), [HUNAN]),
        (SourceAnswer(NATION, OK, follows=(BEIJING,)), [HUNAN]),
        (SourceAnswer(NATION, OK, follows=(), silent={"510000": Timestamp()}), [BEIJING, HUNAN, "510000"]),
    ],
)
def test_the_nation_speaks_for_those_it_follows_and_has_heard_of(nation, expected):
    """A region that it should follow and does not is asked itself, or told as not covered."""
    assert expected == list(fan_out(nation).regions_unspoken_for())


def test_one_regions_missing_answer_is_not_anothers():
    """Of the past nothing is told once somebody who should be asked cannot be; only those whose view needs them."""
    nation = SourceAnswer(NATION, OK, follows=(BEIJING, HUNAN))
    asked = fan_out(nation, SourceAnswer(BEIJING, OK), DOWN, past=True)
    told = {region: [one.status for one in asked.view(region).common.coverage] for region in (BEIJING, HUNAN)}
    assert {BEIJING: [OK, OK], HUNAN: [UNREACHABLE, UNREACHABLE]} == told


def test_of_who_does_not_answer_it_is_told_up_to_when_the_nation_knows_it():
    """One that it has not heard of, one that it follows without delay, and one of which it knows nothing."""
    silent = {HUNAN: Timestamp(seconds=7), "510000": Timestamp()}
    nation = SourceAnswer(NATION, OK, as_of=Timestamp(seconds=5), follows=(BEIJING, HUNAN, "510000"), silent=silent)
    asked = fan_out(nation, unreachable(BEIJING), unreachable(HUNAN), unreachable("510000"))
    known = {
        one.source: one.as_of.seconds if one.HasField("as_of") else None
        for region in (BEIJING, HUNAN)
        for one in asked.view(region).common.coverage
    }
    assert known == {NATION: 5, BEIJING: 5, HUNAN: 7, "510000": None}
