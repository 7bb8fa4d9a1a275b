"""The schemas of everything that is sent and answered, made from the structs themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.http.push import bodies as push_bodies
from gateway.http.push import views as push_views
from gateway.http.requests import bodies
from gateway.http.supervision import bodies as supervision_bodies
from gateway.http.supervision import tables
from gateway.http.views import (
    accesses,
    batches,
    certificates,
    code,
    corrections,
    errors,
    passes,
    regions,
    results,
    samples,
)

Json = dict[str, Any]

BODIES: Sequence[type[bodies.Body]] = (
    bodies.HealthCodeQuery,
    bodies.BatchShowRequest,
    bodies.DestinationsRequest,
    bodies.ResultsRequest,
    bodies.BatchResultsRequest,
    bodies.ClaimRequest,
    bodies.SwitchRequest,
    bodies.CorrectRequest,
    bodies.CorrectionsRequest,
    bodies.PassRequest,
    bodies.CertificateRequest,
    bodies.VerifyRequest,
    bodies.PresentRequest,
    push_bodies.PutSubscriptionRequest,
    push_bodies.DeleteSubscriptionRequest,
    bodies.SignInRequest,
    bodies.SupervisorSignInRequest,
    supervision_bodies.ReopenRequest,
    supervision_bodies.SettleRequest,
    supervision_bodies.RequestResultRequest,
)
TABLES: Sequence[type[msgspec.Struct]] = (
    tables.FiguresTable,
    tables.RefusalsTable,
    tables.LaboratoriesTable,
    tables.OverdueTable,
    tables.ConflictsTable,
    tables.PoliciesTable,
)
ANSWERS: Sequence[type[msgspec.Struct]] = (
    code.HealthCode,
    *code.NARROWED.values(),
    batches.BatchShowResponse,
    batches.DestinationsResponse,
    results.ResultsResponse,
    results.BatchResultsResponse,
    results.ClaimResponse,
    results.SwitchResponse,
    corrections.CorrectResponse,
    corrections.CorrectionsResponse,
    push_views.PushKeyResponse,
    push_views.PutSubscriptionResponse,
    push_views.DeleteSubscriptionResponse,
    accesses.AccessesResponse,
    passes.PassResponse,
    passes.TrustBundle,
    certificates.CertificateResponse,
    certificates.VerificationResponse,
    certificates.PresentationResponse,
    regions.RegionsResponse,
    samples.SamplePeopleResponse,
    samples.SignInResponse,
    *TABLES,
    tables.Reopened,
    tables.Settled,
    tables.Inquired,
    errors.Problem,
)


def ref(name: str) -> Json:
    """Refers to a schema of this document."""
    return {"$ref": f"#/components/schemas/{name}"}


_CODES: Sequence[type[msgspec.Struct]] = (code.HealthCode, *code.NARROWED.values())
CODE: Json = {"oneOf": [ref(kind.__name__) for kind in _CODES]}
"""A code, as the purpose of the request sees it."""


def schemas() -> Json:
    """Returns every schema by name."""
    kinds = {kind.__name__: kind for kind in (*BODIES, *ANSWERS)}
    _, components = msgspec.json.schema_components(kinds.values(), ref_template="#/components/schemas/{name}")
    exclusive = {name: _exclusive(kind) for name, kind in _structs(kinds).items()}
    made = {name: _schema(schema, exclusive.get(name, ())) for name, schema in components.items()}
    for holder in ("Outcome", "Destination"):
        made[holder]["properties"]["code"] = CODE
    return made


def _structs(kinds: Mapping[str, type[msgspec.Struct]]) -> Mapping[str, type[msgspec.Struct]]:
    """Finds the structs that these are made of, too."""
    known: dict[str, type[msgspec.Struct]] = {}
    waiting: list[Any] = [msgspec.inspect.type_info(kind) for kind in kinds.values()]
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.Metadata):
            waiting.append(info.type)
        elif isinstance(info, msgspec.inspect.UnionType):
            waiting += info.types
        elif isinstance(info, msgspec.inspect.ListType):
            waiting.append(info.item_type)
        elif isinstance(info, msgspec.inspect.StructType) and info.cls.__name__ not in known:
            known[info.cls.__name__] = info.cls
            waiting += [field.type for field in info.fields]
    return known


def _exclusive(kind: type[msgspec.Struct]) -> Sequence[str]:
    """Names the fields of which exactly one is there: those that may be unset."""
    return [field.encode_name for field in msgspec.structs.fields(kind) if field.default is msgspec.UNSET]


def _schema(made: Json, exclusive: Sequence[str]) -> Json:
    properties: Json = {}
    required = list(made.get("required", ()))
    for name, one in made["properties"].items():
        # A default of the struct's is no part of the contract, and makers of clients take it for a value that is sent.
        one.pop("default", None)
        if one.pop("x-required", False):
            required.append(name)
        if list(one) == ["allOf"] and len(one["allOf"]) == 1:
            one = one["allOf"][0]
        properties[name] = one
    schema: Json = {"type": "object", "description": made["description"], "properties": properties}
    if required:
        schema["required"] = required
    if exclusive:
        schema["oneOf"] = [{"required": [name]} for name in exclusive]
    schema["additionalProperties"] = made.get("additionalProperties", True)
    return schema
