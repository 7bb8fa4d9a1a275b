"""The table of who may call what, and the guard that holds calls against it."""

from typing import Any

import pytest
from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Purpose
from hutong.lookup.v1.holder_service_pb2 import WatchHoldersRequest
from hutong.records.v1.correction_service_pb2 import ListCorrectionRequestsRequest
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest
from hutong.records.v1.record_pb2 import RecordContent
from hutong.records.v1.record_read_service_pb2 import ListRecordsRequest
from hutong.records.v1.record_write_service_pb2 import (
    AmendRecordRequest,
    BatchSubmitRecordsRequest,
    RecordSubmission,
    SubmitRecordRequest,
)
from hutong.verdict.v1.verdict_service_pb2 import ComputeVerdictRequest

from cli.main import main
from services.common.errors import Code, ServiceError
from services.runtime.access.contracts import methods, wrong_with
from services.runtime.access.guard import TableGuard
from services.runtime.access.table import DEFAULT, AccessError, read_table
from services.runtime.rpc.access import NamedCallers
from services.runtime.rpc.call import Call
from services.runtime.rpc.port import request_class
from services.runtime.telemetry.trace import new_trace
from services.runtime.tls.identity import principal

TABLE = read_table()
WRITE = "hutong.records.v1.RecordWriteService/"
INTAKE = "hutong.records.v1.RecordIntakeService/StreamRecords"
READ = "hutong.records.v1.RecordReadService/"
HUNAN = principal("region/430000/system")


def denied(caller, method, request, here=()):
    """Returns the reason a call is denied with, None when it is admitted."""
    try:
        TableGuard(TABLE, NamedCallers(), here).admit(Call(caller, 0.0, new_trace(None)), method, request)
    except ServiceError as error:
        return error.reason if error.code is Code.PERMISSION_DENIED else f"{error.code}"
    return None


def submissions(*regions):
    """Asks to submit a record of each region."""
    return BatchSubmitRecordsRequest(
        submissions=[RecordSubmission(region=region) for region in regions], purpose=Purpose.PURPOSE_RECORD_KEEPING
    )


def test_every_method_of_every_contract_is_in_the_table():
    """And no method, purpose or field that no contract has."""
    assert [] == wrong_with(TABLE)
    assert {name for name, _ in methods()} == set(TABLE.rules)


def test_who_is_not_in_the_table_is_denied_everything():
    """Deny by default."""
    for name, method in methods():
        request: Any = request_class(method)()
        if "purpose" in method.input_type.fields_by_name:
            request.purpose = Purpose.PURPOSE_SHOW_CODE
        assert "ACCESS_DENIED" == denied(principal("mesh/stranger"), name, request), name
        assert "ACCESS_DENIED" == denied("region-430000", name, request), name


def test_a_region_writes_its_own_records_alone():
    """One foreign row denies the batch."""
    assert denied(HUNAN, WRITE + "BatchSubmitRecords", submissions("430000", "430000")) is None
    assert "REGION_DENIED" == denied(HUNAN, WRITE + "BatchSubmitRecords", submissions("430000", "110000"))


def said_by(laboratory, method):
    """Returns a request to write as a laboratory by a method; in a batch beside a row of one's own."""
    own, other = (
        RecordSubmission(region="430000", content=RecordContent(laboratory=one)) for one in ("430000-one", laboratory)
    )
    keep = Purpose.PURPOSE_RECORD_KEEPING
    return {
        WRITE + "SubmitRecord": SubmitRecordRequest(submission=other, purpose=keep),
        WRITE + "BatchSubmitRecords": BatchSubmitRecordsRequest(submissions=[own, other], purpose=keep),
        WRITE + "AmendRecord": AmendRecordRequest(region="430000", content=other.content, purpose=keep),
        INTAKE: StreamRecordsRequest(submissions=[own, other], purpose=keep),
    }[method]


QUEUE = "hutong.records.v1.CorrectionService/ListCorrectionRequests"
WRITERS = sorted(name for name, rule in TABLE.rules.items() if rule.laboratories and name != QUEUE)


@pytest.mark.parametrize("method", WRITERS)
def test_a_laboratory_writes_as_itself_alone(method):
    """By each way of writing; its id is the end of its name, with its region's code or without."""
    one = principal("region/430000/laboratory/one")
    for own in ("430000-one", "one", ""):
        assert denied(one, method, said_by(own, method)) is None
    for other in ("430000-two", "110000-one", "430000-one-2", "on"):
        assert "LABORATORY_DENIED" == denied(one, method, said_by(other, method))
        assert denied(HUNAN, method, said_by(other, method)) is None


def test_a_laboratory_lists_its_own_queue_alone():
    """By its id, with its region's code or without; where it names none, the store goes by its name."""
    one = principal("region/430000/laboratory/one")
    keep = Purpose.PURPOSE_RECORD_KEEPING
    for laboratory, reason in (
        ("430000-one", None),
        ("one", None),
        ("", None),
        ("430000-two", "LABORATORY_DENIED"),
    ):
        request = ListCorrectionRequestsRequest(region="430000", laboratory=laboratory, purpose=keep)
        assert reason == denied(one, QUEUE, request)
    assert "REGION_DENIED" == denied(one, QUEUE, ListCorrectionRequestsRequest(region="110000", purpose=keep))


@pytest.mark.parametrize("method", WRITERS)
def test_a_laboratory_brings_no_copy_of_another_regions_record(method):
    """By no way of writing: such a copy would count as that region's test. Its region's system may, which imports what
    the national platform gave it."""
    one = principal("region/430000/laboratory/one")
    for origin, reason in (("110000", "ORIGIN_DENIED"), ("430000", None)):
        request = said_by("430000-one", method)
        content = request
        for name in TABLE.rules[method].origins[0].split(".")[:-2]:
            content = getattr(content, name)
            content = content if isinstance(content, Message) else content[-1]
        content.origin.region = origin
        assert reason == denied(one, method, request)
        assert denied(HUNAN, method, request) is None


def test_every_request_with_a_record_in_it_is_held_to_the_laboratory():
    """Of the methods that a laboratory may call, none is left out."""
    lines = list(TABLE.explain(principal("region/430000/laboratory/one")))
    may = {line.split()[0] for line in lines}
    with_a_record = {name for name, method in methods() if name in may and holds_a_record(method.input_type)}
    assert set(WRITERS) == with_a_record == {name for name, rule in TABLE.rules.items() if rule.origins}
    assert with_a_record <= {line.split()[0] for line in lines if line.endswith("own laboratory")}


def holds_a_record(message):
    """Tells if a message has what is said about a test in it, however deep."""
    below = [field.message_type for field in message.fields if field.message_type]
    return RecordContent.DESCRIPTOR in below or any(map(holds_a_record, below))


def test_a_region_reads_its_own_store_alone():
    """A question without a region is one about the store it is put to."""
    request = ListRecordsRequest(purpose=Purpose.PURPOSE_REGIONAL_SERVICE)
    assert denied(HUNAN, READ + "ListRecords", request, here=["430000"]) is None
    assert "REGION_DENIED" == denied(HUNAN, READ + "ListRecords", request, here=["110000"])
    assert "REGION_DENIED" == denied(HUNAN, READ + "ListRecords", request, here=["650000", "540000"])


def test_where_a_store_is_several_regions_what_names_none_is_no_regions_own():
    """The nation keeps the records of those who are not on the mesh: none of them reads the others' changes there, or
    suspends their laboratories."""
    tibet, here = principal("region/540000/system"), ["650000", "540000"]
    for name, method in methods():
        rule = TABLE.rules[name]
        if not name.startswith("hutong.records.") or rule.regions:
            continue
        for purpose in rule.purposes or ("",):
            request: Any = request_class(method)()
            if purpose:
                request.purpose = Purpose.Value(f"PURPOSE_{purpose}")
            assert denied(tibet, name, request, here) is not None, name
            alone = denied(tibet, name, request, ["540000"])
            assert alone == denied(HUNAN, name, request, ["430000"])
    own = submissions("540000")
    assert denied(tibet, WRITE + "BatchSubmitRecords", own, here) is None


def test_no_region_watches_everybodys_links():
    """They are of all people, whoever's they are."""
    watch = "hutong.lookup.v1.HolderService/WatchHolders"
    assert "ACCESS_DENIED" == denied(HUNAN, watch, WatchHoldersRequest())
    assert denied(principal("mesh/gateway"), watch, WatchHoldersRequest()) is None


def test_purposes_are_bound_to_methods():
    """Who shows a code writes nothing, whoever it is."""
    request = submissions("430000")
    request.purpose = Purpose.PURPOSE_SHOW_CODE
    assert "PURPOSE_DENIED" == denied(HUNAN, WRITE + "BatchSubmitRecords", request)
    asked = ComputeVerdictRequest(purpose=Purpose.PURPOSE_SUPERVISION)
    assert denied(principal("supervisor/one"), "hutong.verdict.v1.VerdictService/ComputeVerdict", asked) is None
    asked.purpose = Purpose.PURPOSE_SHOW_CODE
    assert "PURPOSE_DENIED" == denied(
        principal("supervisor/one"), "hutong.verdict.v1.VerdictService/ComputeVerdict", asked
    )


def test_a_star_is_one_segment():
    """A name that goes on is another name."""
    assert "ACCESS_DENIED" == denied(
        principal("region/430000/system/x"), WRITE + "BatchSubmitRecords", submissions("430000")
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("regions: any", "regions: some", "regions"),
        ("RECORD_KEEPING", "RECORD_LOSING", "RECORD_LOSING is no purpose"),
        ("PolicyService/*", "PolicyService/Forge", "is no method of any contract"),
    ],
)
def test_a_table_that_will_not_do_says_where(tmp_path, capsys, old, new, said):
    """And `hutong access check` ends with status 2."""
    path = tmp_path / "table.yaml"
    path.write_text(DEFAULT.read_text().replace(old, new))
    with pytest.raises(AccessError, match=said):
        read_table(path)
    assert 2 == main(["access", "check", "--table", str(path)])
    assert said in capsys.readouterr().err


def test_explain_lists_what_a_caller_may_do(capsys):
    """Purposes and regions beside each method; a stranger is denied everything."""
    assert 0 == main(["access", "explain", "region/430000/laboratory/xiangya"])
    lines = capsys.readouterr().out.splitlines()
    assert f"{WRITE}SubmitRecord  RECORD_KEEPING  own  own laboratory" in lines
    assert 11 == len(lines)
    assert 0 == main(["access", "explain", "mesh/stranger"])
    assert "denied everything" in capsys.readouterr().out


ONE = "region/430000/"
FEED = ("hutong.records.v1.ChangeFeedService/ListChanges", "hutong.records.v1.ChangeFeedService/WatchChanges")
ORIGIN = "content.origin.region"
OPEN = {
    # Policies and the list of regions are everybody's; whoever stands there may go, or find a test wrong, anywhere.
    "system": {
        ("hutong.gateway.v1.HealthCodeService/CheckDestinations", "regions"),
        ("hutong.gateway.v1.HealthCodeService/RequestCorrection", "region"),
        ("hutong.lookup.v1.RegionDirectoryService/GetRegion", "region"),
        ("hutong.verdict.v1.PolicyService/ListPolicies", "region"),
        # It brings the copies that the national platform gave it.
        (WRITE + "SubmitRecord", f"submission.{ORIGIN}"),
        (WRITE + "BatchSubmitRecords", f"submissions.{ORIGIN}"),
        (WRITE + "AmendRecord", ORIGIN),
        (INTAKE, f"submissions.{ORIGIN}"),
    },
    # A region's store follows the others, and writes into none of them.
    "records": {("hutong.lookup.v1.RegionDirectoryService/GetRegion", "region"), *((name, "here") for name in FEED)},
    "laboratory/one": set(),
    "venue/gate": set(),
}
"""Where a name of Hunan's may say another region, or ask another's store, and why."""
SAYS_NO_AUTHOR = ("store.", "judge.evidence.records", "judge.evidence.left_out", "judge.evidence.laboratories")
"""Which store is meant, and what is known of a person, from everywhere, that is judged and kept by nobody."""


def region_paths(message, above=()):
    """Yields the path of every field of a message, however deep, that names a region."""
    for field in message.fields:
        below = field.message_type
        if below and below not in above and below.full_name.startswith("hutong."):
            yield from (f"{field.name}.{path}" for path in region_paths(below, (*above, message)))
        elif not below and field.name in ("region", "regions"):
            yield field.name


def saying(method, purpose, regions):
    """Returns a request that says these regions, by path, for a purpose; each list has one row."""
    request: Any = request_class(method)()
    if purpose:
        request.purpose = purpose
    for path, region in regions.items():
        *above, last = path.split(".")
        place = request
        for name in above:
            value = getattr(place, name)
            if not isinstance(value, Message) and not value:
                value.add()
            place = value if isinstance(value, Message) else value[-1]
        if isinstance(getattr(place, last), str):
            setattr(place, last, region)
        else:
            getattr(place, last).append(region)
    return request


@pytest.mark.parametrize("caller", OPEN)
def test_no_field_of_any_request_lets_a_region_act_for_another(caller):
    """Of every method of every contract that a name of Hunan's may call, writes, the feed, suspensions and evidence
    among them: a field that says Beijing is refused, and a request that says no region where the store is Beijing's, or
    is theirs together."""
    name_of_hunan = principal(ONE + caller)
    admitted, tried = set(), 0
    for name, method in methods():
        is_store = name.startswith("hutong.records.")
        own_store = ["430000"] if is_store else []
        paths = [path for path in region_paths(method.input_type) if not path.startswith(SAYS_NO_AUTHOR)]
        own = dict.fromkeys(paths, "430000")
        for purpose in TABLE.purposes[name] or (0,):
            if denied(name_of_hunan, name, saying(method, purpose, own), own_store) is not None:
                continue
            asked = {path: (saying(method, purpose, own | {path: "110000"}), own_store) for path in paths}
            if is_store and not paths:
                asked = {"here": (saying(method, purpose, {}), ["110000"])}
                asked["together"] = (asked["here"][0], ["430000", "110000"])
            for what, (request, here) in asked.items():
                reason = denied(name_of_hunan, name, request, here)
                tried += 1
                if reason not in ("REGION_DENIED", "ORIGIN_DENIED"):
                    admitted.add((name, "here" if what == "together" else what))
    assert OPEN[caller] == admitted
    assert tried


@pytest.mark.parametrize("caller", OPEN)
def test_what_a_region_says_of_itself_is_not_enough_in_anothers_store(caller):
    """Suspending, lifting, settling and every other change that says no region: by no name of Hunan's in Beijing's."""
    changes = ("Suspend", "Lift", "Settle", "Put", "Submit", "Amend", "Retract", "Answer", "Accept", "GiveBack")
    changing = [(name, method) for name, method in methods() if name.partition("/")[2].startswith(changes)]
    assert {"SuspendLaboratory", "LiftSuspension", "SettleConflict"} <= {name.partition("/")[2] for name, _ in changing}
    for name, method in changing:
        if not name.startswith("hutong.records.") or TABLE.rules[name].regions:
            continue
        for purpose in TABLE.purposes[name] or (0,):
            request = saying(method, purpose, {})
            assert denied(principal(ONE + caller), name, request, here=["110000"]) is not None, name
