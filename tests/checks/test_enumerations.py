"""Enumerations of domain and contract agree."""

from hutong.records.v1 import record_pb2 as rec
from hutong.verdict.v1 import verdict_pb2 as vd


def test_the_numbers_of_the_contract_are_those_of_the_engine():
    """Enumerations cross by number."""
    from hutong.lookup.v1 import region_pb2

    from services.verdict.domain import model

    pairs = [
        (model.Scope, region_pb2.Scope, "SCOPE_"),
        (model.Kind, rec.RecordKind, "RECORD_KIND_"),
        (model.Result, rec.TestResult, "TEST_RESULT_"),
        (model.Tube, rec.Tube, "TUBE_"),
        (model.Channel, rec.Channel, "CHANNEL_"),
        (model.Status, vd.Status, "STATUS_"),
        (model.Colour, vd.Colour, "COLOUR_"),
        (model.NoticeOutcome, vd.NoticeOutcome, "NOTICE_OUTCOME_"),
    ]
    for ours, theirs, prefix in pairs:
        assert {member.name: member.value for member in ours if member.value} == {
            name.removeprefix(prefix): number for name, number in theirs.items() if number
        }
