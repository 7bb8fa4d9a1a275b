"""Every call of the gateway, about two people in two regions, for every purpose: and what the table says of it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose
from hutong.gateway.v1 import health_code_service_pb2 as pb

from services.runtime.access.table import read_table
from services.runtime.rpc.port import request_class
from services.runtime.tls.identity import ANONYMOUS
from tests.testkit.servers.gateway_clients import SHOW

CONTRACT = pb.DESCRIPTOR.services_by_name["HealthCodeService"]
TABLE = read_table()
HERE, THERE = "110000", "430000"
DECISIONS = ("ClaimResult", "SwitchScope", "RequestCorrection", "PresentCertificate")
DEFAULTS = dict.fromkeys(DECISIONS, Purpose.PURPOSE_HOLDER_DECISION)
OPEN = {"ListRegions", "GetTrustBundle"}
"""What is about nobody, and answered to anybody."""
NAMELESS = OPEN | {"VerifyCertificate"}
"""What names nobody."""
TEXT = "HC1:NCFOXN"


class Person(NamedTuple):
    """One of the two people: a document as JSON has it, and the person's key."""

    document: dict[str, str]
    key: bytes


class Case(NamedTuple):
    """One call: a method, for a purpose (0: none stated), about a person in a region."""

    method: str
    purpose: Purpose.ValueType
    person: Person
    region: str

    @property
    def word(self) -> str:
        """The purpose as HTTP has it."""
        return Purpose.Name(self.purpose).removeprefix("PURPOSE_") if self.purpose else ""


def cases(*people: Person) -> Iterator[Case]:
    """Yields every method with every purpose, also none, about these people in two regions."""
    for name in CONTRACT.methods_by_name:
        for purpose in Purpose.values():
            for person in people:
                for region in (HERE, THERE):
                    yield Case(name, purpose, person, region)


def over_http(case: Case) -> tuple[str, str, Any]:
    """Returns the method, the path and the body of a call over HTTP."""
    person, region = case.person.document, case.region
    query = {"document": person, "region": region}
    calls = {
        "ShowHealthCode": ("POST", SHOW, query),
        "BatchShowHealthCodes": ("POST", "/v1/healthCode:batchShow", {"queries": [query]}),
        "CheckDestinations": ("POST", "/v1/destinations:check", {"document": person, "regions": [region]}),
        "ListResults": ("POST", "/v1/results:list", {"document": person}),
        "BatchListResults": ("POST", "/v1/results:batchList", {"documents": [person]}),
        "ClaimResult": ("POST", "/v1/results:claim", query),
        "SwitchScope": ("POST", "/v1/healthCode:switchScope", {**query, "scope": "LOCAL"}),
        "RequestCorrection": ("POST", "/v1/corrections:request", {**query, "sourceId": "S1", "kind": "WRONG_TIME"}),
        "ListHolderCorrectionRequests": ("POST", "/v1/corrections:list", {"document": person}),
        "ListAccesses": ("GET", "/v1/accesses", None),
        "IssuePass": ("POST", "/v1/passes:issue", query),
        "IssueCertificate": ("POST", "/v1/certificates:issue", query),
        "VerifyCertificate": ("POST", "/v1/certificates:verify", {"text": TEXT}),
        "PresentCertificate": ("POST", "/v1/certificates:present", {**query, "text": TEXT}),
        "GetTrustBundle": ("GET", "/v1/trustBundle", None),
        "ListRegions": ("GET", "/v1/regions", None),
    }
    return calls[case.method]


def over_grpc(case: Case) -> Any:
    """Returns the request of a call over gRPC."""
    name = case.method
    message: Any = request_class(CONTRACT.methods_by_name[name])()
    if "purpose" in message.DESCRIPTOR.fields_by_name:
        message.purpose = case.purpose
    shown = case.person.document
    named = Document(type=DocumentType.Value(f"DOCUMENT_TYPE_{shown['type']}"), number=shown["number"])
    if name == "ShowHealthCode":
        message.query.document.CopyFrom(named)
        message.query.region = case.region
    elif name == "BatchShowHealthCodes":
        message.queries.add(document=named, region=case.region)
    elif name == "BatchListResults":
        message.documents.append(named)
    elif name not in NAMELESS:
        message.document.CopyFrom(named)
        if name == "CheckDestinations":
            message.regions.append(case.region)
        elif name not in ("ListResults", "ListAccesses", "ListHolderCorrectionRequests"):
            message.region = case.region
        if name == "RequestCorrection":
            message.source_id, message.kind = "S1", 3
        if name == "SwitchScope":
            message.scope = 1
    if name in ("VerifyCertificate", "PresentCertificate"):
        message.text = TEXT
    return message


def expected(caller: str, own: tuple[bytes, ...], case: Case) -> str:
    """Returns what the table says of a call of a caller whose own people are these."""
    asks = "purpose" in CONTRACT.methods_by_name[case.method].input_type.fields_by_name
    purpose = (case.purpose or DEFAULTS.get(case.method, Purpose.PURPOSE_SHOW_CODE)) if asks else 0
    name = f"{CONTRACT.full_name}/{case.method}"
    regions = [(path, case.region) for path in TABLE.rules[name].regions]
    denial = TABLE.check(
        caller, name, purpose, regions, lambda: case.method not in NAMELESS and case.person.key not in own
    )
    if denial is None:
        return "answered"
    return "unauthenticated" if caller == ANONYMOUS else "denied"


def expected_over_http(caller: str, own: tuple[bytes, ...], case: Case) -> str:
    """Returns the same over HTTP, where nobody can ask who looked at another person."""
    if case.method == "ListAccesses" and own:
        case = case._replace(person=case.person._replace(key=own[0]))
    return expected(caller, own, case)


SUPERVISION: Mapping[str, tuple[str, str, Any]] = {
    "hutong.gateway.v1.SupervisionService/ListFigures": ("GET", "/v1/supervision/figures", None),
    "hutong.gateway.v1.SupervisionService/ListRefusals": ("GET", "/v1/supervision/refusals", None),
    "hutong.gateway.v1.SupervisionService/ReopenRefusal": (
        "POST",
        "/v1/supervision/refusals:reopen",
        {"refusalId": "00" * 16},
    ),
    "hutong.gateway.v1.SupervisionService/StreamOpenData": ("GET", "/v1/supervision/openData", None),
    "hutong.records.v1.LaboratoryQualityService/ListLaboratoryQuality": ("GET", "/v1/supervision/laboratories", None),
    "hutong.records.v1.LaboratoryQualityService/ListOverdueSamples": ("GET", "/v1/supervision/overdueSamples", None),
    "hutong.records.v1.ConflictService/ListConflicts": ("GET", "/v1/supervision/conflicts", None),
    "hutong.records.v1.ConflictService/SettleConflict": (
        "POST",
        "/v1/supervision/conflicts:settle",
        {"conflictId": "none", "settlement": "STORED_KEPT", "cause": "looked at the original"},
    ),
    "hutong.records.v1.CorrectionService/RequestResult": (
        "POST",
        "/v1/supervision/overdueSamples:requestResult",
        {"region": "430000", "sourceId": "S1"},
    ),
    "hutong.verdict.v1.PolicyService/FindStricterPolicies": ("GET", "/v1/supervision/policies", None),
}
"""What supervisors ask over HTTP, by the method of the contract whose right it takes: verb, path, body."""


_ENDPOINT = "https://updates.push.services.mozilla.com/one"
PUSH = "hutong.gateway.v1.PushService"


def push_calls(person: Person) -> Mapping[str, tuple[str, str, Any]]:
    """Returns the calls about push subscriptions of a person over HTTP, by the method of the contract."""
    subscription = {"endpoint": _ENDPOINT, "keys": {"p256dh": "", "auth": ""}}
    about = {"document": person.document}
    return {
        f"{PUSH}/GetPushKey": ("GET", "/v1/pushKey", None),
        f"{PUSH}/PutPushSubscription": (
            "POST",
            "/v1/pushSubscriptions:put",
            {**about, "subscription": subscription, "region": HERE},
        ),
        f"{PUSH}/DeletePushSubscription": (
            "POST",
            "/v1/pushSubscriptions:delete",
            {**about, "endpoint": _ENDPOINT},
        ),
    }


def expected_of_push(
    caller: str, own: tuple[bytes, ...], method: str, person: Person, purpose: Purpose.ValueType
) -> str:
    """Returns what the table says of a call about push subscriptions, for a purpose or, where that is 0, none."""
    asks = bool(TABLE.rules[method].purposes)
    stated = (purpose or Purpose.PURPOSE_HOLDER_DECISION) if asks else 0
    if TABLE.check(caller, method, stated, [], lambda: asks and person.key not in own) is None:
        return "answered"
    return "unauthenticated" if caller == ANONYMOUS else "denied"


def expected_of_supervision(caller: str, method: str, purpose: Purpose.ValueType) -> str:
    """Returns what the table says of a call of supervision, for a purpose or, where that is 0, none."""
    stated = purpose or Purpose.PURPOSE_SUPERVISION
    if TABLE.check(caller, method, stated if TABLE.rules[method].purposes else 0, []) is None:
        return "answered"
    return "unauthenticated" if caller == ANONYMOUS else "denied"


def outcome_of_status(status: int) -> str:
    """Returns what an HTTP status says of a call's admission; an error of another kind says that it was admitted."""
    return {403: "denied", 401: "unauthenticated"}.get(status, "answered")
