"""The purposes' views, field by field over the contract, and over both transports, from the cache as well."""

import json
from collections.abc import Iterator
from typing import Any, cast

import grpc
import msgspec
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1 import push_service_pb2, supervision_service_pb2
from hutong.verdict.v1.scene_pb2 import Scene
from hutong.verdict.v1.verdict_pb2 import Status, Verdict

from gateway.application.purpose_views import VIEWS, narrowed, sees
from gateway.http.views.code import NARROWED, HealthCode
from tests.testkit.builders.tokens import development
from tests.testkit.fakes.mesh import NUMBER
from tests.testkit.servers.gateway_clients import BODY, SHOW, GatewayClients, document_message

CONTRACTS = (
    pb.DESCRIPTOR.services_by_name["HealthCodeService"],
    push_service_pb2.DESCRIPTOR.services_by_name["PushService"],
    supervision_service_pb2.DESCRIPTOR.services_by_name["SupervisionService"],
)
PURPOSES = [number for number in Purpose.values() if number]
VENUE, SUPERVISION = Purpose.PURPOSE_VENUE_CHECK, Purpose.PURPOSE_SUPERVISION
VENUE_TOKEN = {"role": "venue", "region": "110000", "sub": "south-station"}
NEVER_FILLED = {("hutong.verdict.v1.Verdict", "person_keys"), ("hutong.records.v1.TestRecord", "person_key")}
"""No purpose sees them, and the gateway leaves them out where it makes an answer."""
OF_THE_ANSWER = {"freshness", "age"}


def answers() -> Iterator[Descriptor]:
    """Yields the answers of every method that states a purpose."""
    for contract in CONTRACTS:
        for method in contract.methods:
            if "purpose" in method.input_type.fields_by_name:
                yield method.output_type


def kinds(kind: Descriptor, found: dict[str, Descriptor]) -> dict[str, Descriptor]:
    """Finds every message of the contracts that an answer can hold."""
    if kind.full_name.startswith("hutong.") and kind.full_name not in found and not kind.GetOptions().map_entry:
        found[kind.full_name] = kind
        for field in kind.fields:
            if field.message_type is not None:
                kinds(field.message_type, found)
    return found


ANSWERED: dict[str, Descriptor] = {}
for _answer in answers():
    kinds(_answer, ANSWERED)


def full(kind: Descriptor, choices: dict[str, int]) -> Message:
    """Returns a message with something in every field; of a oneof, the one that `choices` says."""
    message: Any = GetMessageClass(kind)()
    for field in kind.fields:
        chosen = field.containing_oneof
        if chosen is not None and len(chosen.fields) > 1 and chosen.fields[choices.get(chosen.name, 0)] is not field:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(message, field.name)["x"] = "x"
            continue
        value = full(field.message_type, choices) if field.message_type is not None else scalar(field)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        elif isinstance(value, Message):
            getattr(message, field.name).CopyFrom(value)
        else:
            setattr(message, field.name, value)
    return cast(Message, message)


def scalar(field: FieldDescriptor) -> Any:
    """Returns a value that is not the default."""
    if field.enum_type is not None:
        return field.enum_type.values[1].number
    return {FieldDescriptor.TYPE_STRING: "x", FieldDescriptor.TYPE_BYTES: b"x", FieldDescriptor.TYPE_BOOL: True}.get(
        field.type, 1
    )


def filled(message: Message, purpose: Purpose.ValueType | None = None) -> Iterator[tuple[str, str]]:
    """Yields the message and name of every field that has something in it, however deep; with a purpose, of those that
    it sees, and of what lies in them."""
    name = message.DESCRIPTOR.full_name
    for field, value in message.ListFields():
        ours = name.startswith("hutong.")
        if purpose is not None and ours and not sees(purpose, name, field.name):
            continue
        if ours:
            yield name, field.name
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for one in value if field.is_repeated else [value]:
                yield from filled(one, purpose)


def test_every_field_of_every_answer_is_decided():
    """A new field fails here until the view says who sees it; none is named that there is not."""
    expected = {(name, field.name) for name, kind in ANSWERED.items() for field in kind.fields}
    assert expected == {(name, field) for name, fields in VIEWS.items() for field in fields}


@pytest.mark.parametrize("purpose", PURPOSES, ids=lambda number: Purpose.Name(number).removeprefix("PURPOSE_"))
def test_a_purpose_sees_its_view_and_nothing_else(purpose):
    """Every message of every answer, full: what is left is what the view names, field by field."""
    for kind in answers():
        for choice in (0, 1):
            expected = set(filled(full(kind, {"outcome": choice}), purpose))
            kept = set(filled(narrowed(full(kind, {"outcome": choice}), purpose)))
            assert expected == kept - NEVER_FILLED, kind.full_name


def test_a_venue_sees_the_colour_the_word_the_scene_and_until_when():
    """And of the contract's code nothing else."""
    code = narrowed(full(pb.ShowHealthCodeResponse.DESCRIPTOR, {}), VENUE)
    names = {name for kind, name in filled(code) if kind == Verdict.DESCRIPTOR.full_name}
    assert {"status", "colour", "scene", "valid_until"} == names


def test_a_field_of_a_later_contract_is_nobodys():
    """A verdict service that is newer than the gateway sends what the view cannot know."""
    later = pb.ShowHealthCodeResponse(verdict=Verdict(status=Status.STATUS_RECOGNISED))
    newer = pb.ShowHealthCodeResponse.FromString(later.SerializeToString() + b"\xfa\x3e\x06secret")
    assert b"secret" in newer.SerializeToString()
    assert b"secret" not in narrowed(newer, VENUE).SerializeToString()


@pytest.mark.parametrize("purpose", list(NARROWED), ids=lambda number: Purpose.Name(number).removeprefix("PURPOSE_"))
def test_json_has_the_fields_of_the_view(purpose):
    """What HTTP writes of a code is the view of the contract's message."""
    fields = {field.name for field in msgspec.structs.fields(HealthCode)} - OF_THE_ANSWER
    expected = {name for name in fields if sees(purpose, Verdict.DESCRIPTOR.full_name, name)}
    assert expected == {field.name for field in msgspec.structs.fields(NARROWED[purpose])} - OF_THE_ANSWER


async def test_a_venue_is_shown_no_more_whatever_it_asks(clients: GatewayClients):
    """Over both transports, computed and from the cache that a holder has filled."""
    headers = {**development(**VENUE_TOKEN), "hutong-purpose": "VENUE_CHECK"}
    metadata = [*development(**VENUE_TOKEN).items(), ("hutong-caller", "turnstile")]
    body = {**BODY, "scene": "HOTEL"}
    query = pb.HealthCodeQuery(document=document_message(), region="110000", scene=Scene.SCENE_HOTEL)
    for _ in range(2):
        code = (await clients.post(SHOW, body, **headers)).json()
        assert {"status", "colour", "scene", "validUntil", "freshness", "age"} == code.keys()
        request = pb.ShowHealthCodeRequest(query=query, purpose=VENUE)
        answer = await clients.stub.ShowHealthCode(request, metadata=metadata)
        names = {field.name for field, _ in answer.verdict.ListFields()}
        assert {"status", "colour", "scene", "valid_until"} >= names
        assert Verdict.FromString(answer.verdict.SerializeToString()).ByteSize() < 40
    whole = (await clients.post(SHOW, body)).json()
    assert (whole["freshness"], whole["status"]) == ("CACHED", code["status"])
    assert whole["newestTest"] is not None
    batch = (await clients.post("/v1/healthCode:batchShow", {"queries": [body]}, **headers)).json()
    assert code.keys() == batch["outcomes"][0]["code"].keys()
    many = pb.BatchShowHealthCodesRequest(queries=[query], purpose=VENUE)
    (outcome,) = (await clients.stub.BatchShowHealthCodes(many, metadata=metadata)).outcomes
    assert {"status", "colour", "scene", "valid_until"} >= {
        field.name for field, _ in outcome.code.verdict.ListFields()
    }


@pytest.mark.parametrize("field", ["at", "knownAt"])
async def test_a_venue_is_told_nothing_of_another_instant(clients: GatewayClients, field: str):
    """One question after the other, it would be told a person's past: over both transports, one by one and in
    batches."""
    headers = {**development(**VENUE_TOKEN), "hutong-purpose": "VENUE_CHECK"}
    body = {**BODY, field: "2022-08-05T13:20:00+08:00"}
    for path, asked in ((SHOW, body), ("/v1/healthCode:batchShow", {"queries": [body]})):
        answer = (await clients.post(path, asked, **headers)).json()
        assert "VENUE_ASKS_NOW" in json.dumps(answer)
        assert "colour" not in json.dumps(answer)
    query = pb.HealthCodeQuery(document=document_message(), region="110000")
    getattr(query, {"at": "at", "knownAt": "known_at"}[field]).seconds = 1_660_000_000
    metadata = [*development(**VENUE_TOKEN).items(), ("hutong-caller", "turnstile")]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await clients.stub.ShowHealthCode(pb.ShowHealthCodeRequest(query=query, purpose=VENUE), metadata=metadata)
    assert grpc.StatusCode.INVALID_ARGUMENT == refused.value.code()
    assert 200 == (await clients.post(SHOW, body)).status_code


async def test_supervision_sees_why_and_not_the_test(clients: GatewayClients):
    """In one code, in many, and in those of every destination."""
    headers = {**development(role="supervisor", sub="inspector"), "hutong-purpose": "SUPERVISION"}
    for path, body in (
        (SHOW, BODY),
        ("/v1/healthCode:batchShow", {"queries": [BODY]}),
        ("/v1/destinations:check", {"document": BODY["document"], "regions": ["110000"], "view": "FULL"}),
    ):
        text = (await clients.post(path, body, **headers)).text
        assert '"grounds"' in text
        assert '"newestTest"' not in text
        assert '"daysSinceTest"' not in text


async def test_no_log_says_more_than_a_purpose(clients: GatewayClients, caplog):
    """Nothing of an answer is logged: no colour, no test, no number."""
    with caplog.at_level("DEBUG", "hutong"):
        await clients.post(SHOW, BODY, **{**development(**VENUE_TOKEN), "hutong-purpose": "VENUE_CHECK"})
        await clients.post(SHOW, BODY)
        await clients.post("/v1/results:list", {"document": BODY["document"]})
    said = " ".join(str(vars(record)) for record in caplog.records if record.name.startswith("hutong"))
    assert not [word for word in (NUMBER, "GREEN", "NEGATIVE", "sampled") if word in said]
