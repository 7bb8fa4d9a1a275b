"""Enumerations of domain and contract agree."""

from hutong.records.v1 import record_pb2 as rec
from hutong.verdict.v1 import scene_pb2
from hutong.verdict.v1 import verdict_pb2 as vd


def test_the_numbers_of_the_contract_are_those_of_the_engine():
    """Enumerations cross by number."""
    from hutong.lookup.v1 import region_pb2

    from services.verdict.domain import verdict
    from services.verdict.domain.evidence import values

    pairs = [
        (values.Scope, region_pb2.Scope, "SCOPE_"),
        (values.Kind, rec.RecordKind, "RECORD_KIND_"),
        (values.Result, rec.TestResult, "TEST_RESULT_"),
        (values.Tube, rec.Tube, "TUBE_"),
        (values.Scene, scene_pb2.Scene, "SCENE_"),
        (values.Channel, rec.Channel, "CHANNEL_"),
        (verdict.Status, vd.Status, "STATUS_"),
        (verdict.Colour, vd.Colour, "COLOUR_"),
        (verdict.NoticeOutcome, vd.NoticeOutcome, "NOTICE_OUTCOME_"),
    ]
    for ours, theirs, prefix in pairs:
        assert {member.name: member.value for member in ours if member.value} == {
            name.removeprefix(prefix): number for name, number in theirs.items() if number
        }
