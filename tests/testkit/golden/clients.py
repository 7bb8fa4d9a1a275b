"""The gateway of a mesh over HTTP and over gRPC, seen alike: one question, one answer, the same words."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import grpc
import httpx
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose
from hutong.gateway.v1 import certificate_pb2
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub
from hutong.lookup.v1.evidence_service_pb2 import SourceStatus
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1.record_pb2 import Channel, TestResult
from hutong.verdict.v1.verdict_pb2 import Colour, NoticeOutcome, Status, Verdict

from gateway.identity.development import DevelopmentIssuer
from services.common.instants import format_rfc3339, from_timestamp, parse_rfc3339, to_timestamp
from services.runtime.rpc.errors import from_rpc_error

Answer = dict[str, Any]
Person = Mapping[str, str]


class Given(NamedTuple):
    """A verdict that was given: to which question, as known when (RFC 3339), and the bytes of it."""

    person: Person
    region: str
    scope: str | None
    at: str
    known_at: str
    verdict: bytes


class Wallet:
    """The tokens of holders, from the development issuer of a mesh: every question is its holder's own."""

    def __init__(self, folder: str) -> None:
        self._issuer = DevelopmentIssuer(Path(folder))
        self._tokens: dict[tuple[tuple[str, str], ...], str] = {}

    def laboratory(self, region: str, laboratory: str) -> str:
        """Returns the authorization of a laboratory."""
        return f"Bearer {self._issuer.token({'role': 'laboratory', 'region': region, 'sub': laboratory})}"

    def authorization(self, *people: Person) -> str:
        """Returns the authorization of a person, or of a guardian of several."""
        first, *others = unique = list({(one["type"], one["number"]): None for one in people})
        key = tuple(unique)
        if key not in self._tokens:
            claims: dict[str, Any] = {"role": "holder", "document": _shown(first)}
            if others:
                claims |= {"role": "guardian", "dependants": [_shown(one) for one in others]}
            self._tokens[key] = f"Bearer {self._issuer.token(claims)}"
        return self._tokens[key]


def _shown(document: tuple[str, str]) -> dict[str, str]:
    return {"type": document[0], "number": document[1]}


NAME = {"surname": "WANG", "givenName": "XIAOMING", "writtenName": "王小明"}


class HealthCodeClient(Protocol):
    """The questions of a health-code client."""

    async def show(self, person: Person, region: str, **options: Any) -> Answer:
        """The code with the verdict `given` (one), or {error: reason}."""

    async def again(self, given: Sequence[Given]) -> Sequence[bytes]:
        """The verdicts on the same questions as known then, asked for in one batch."""

    async def destinations(self, person: Person, regions: Sequence[str], at: str | None) -> Answer:
        """Region to status, with the verdicts `given`."""

    async def results(self, person: Person) -> Answer:
        """The results and the coverage."""

    async def claim(self, person: Person, region: str) -> Answer:
        """The claimed result."""

    async def switch(self, person: Person, region: str, scope: str) -> Answer:
        """The scope that now applies."""

    async def certify(self, person: Person, region: str, source_id: str, laboratory: str) -> Answer:
        """The text of a certificate that a laboratory asks for."""

    async def verify(self, person: Person, text: str) -> Answer:
        """The view of a certificate, or the reason why it is not believed."""

    async def present(self, person: Person, region: str, text: str) -> Answer:
        """The copy that a region keeps of what a certificate proves."""


class HttpClient:
    """Over HTTP/JSON, each question with its holder's token."""

    def __init__(self, base_url: str, wallet: Wallet) -> None:
        self._wallet = wallet
        self._client = httpx.AsyncClient(base_url=base_url, timeout=15)

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, path: str, body: Mapping[str, Any], *people: Person) -> Answer:
        stated = {key: value for key, value in body.items() if value is not None}
        headers = {"authorization": self._wallet.authorization(*people)}
        reply = await self._client.post(path, json=stated, headers=headers)
        answer: Answer = reply.json()
        if reply.status_code != 200:
            return {"error": answer["reason"], "fields": sorted(v["field"] for v in answer.get("violations", []))}
        return answer

    async def show(self, person: Person, region: str, **options: Any) -> Answer:
        options["knownAt"] = options.pop("known_at", None)
        answer = await self._post("/v1/healthCode:show", {"document": person, "region": region, **options}, person)
        if "error" in answer:
            return answer
        return _code(answer) | {"given": [_given_json(person, region, options.get("scope"), answer)]}

    async def again(self, given: Sequence[Given]) -> Sequence[bytes]:
        queries = [
            {"document": one.person, "region": one.region, "at": one.at, "knownAt": one.known_at}
            | ({"scope": one.scope} if one.scope else {})
            for one in given
        ]
        answer = await self._post("/v1/healthCode:batchShow", {"queries": queries}, *(one.person for one in given))
        return [_json_bytes(outcome.get("code", outcome)) for outcome in answer["outcomes"]]

    async def destinations(self, person: Person, regions: Sequence[str], at: str | None) -> Answer:
        body = {"document": person, "regions": list(regions) or None, "at": at, "view": "FULL"}
        answer = await self._post("/v1/destinations:check", body, person)
        codes = {item["region"]["region"]: item["code"] for item in answer["destinations"]}
        given = [_given_json(person, region, None, code) for region, code in codes.items()]
        return {region: code["status"] for region, code in codes.items()} | {"given": given}

    async def results(self, person: Person) -> Answer:
        answer = await self._post("/v1/results:list", {"document": person}, person)
        return {
            "results": [
                {
                    "region": item["record"]["region"],
                    "origin": item["originRegion"],
                    "result": item["record"]["result"],
                    "channel": item["record"]["channel"],
                }
                for item in answer["results"]
            ],
            "coverage": {entry["source"]: entry["status"] for entry in answer["coverage"]},
        }

    async def claim(self, person: Person, region: str) -> Answer:
        answer = await self._post("/v1/results:claim", {"document": person, "region": region}, person)
        return answer if "error" in answer else {"created": answer["created"]}

    async def switch(self, person: Person, region: str, scope: str) -> Answer:
        body = {"document": person, "region": region, "scope": scope}
        return await self._post("/v1/healthCode:switchScope", body, person)

    async def certify(self, person: Person, region: str, source_id: str, laboratory: str) -> Answer:
        body = {"document": person, "region": region, "sourceId": source_id, "name": NAME}
        headers = {
            "authorization": self._wallet.laboratory(region, laboratory),
            "hutong-purpose": "RECORD_KEEPING",
        }
        reply = await self._client.post("/v1/certificates:issue", json=body, headers=headers)
        answer: Answer = reply.json()
        return {"text": answer["text"]} if reply.status_code == 200 else {"error": answer["reason"]}

    async def verify(self, person: Person, text: str) -> Answer:
        answer = await self._post("/v1/certificates:verify", {"text": text}, person)
        seen = answer["certificate"]
        if seen is None:
            return {"reason": answer["reason"]}
        return {name: seen[name] for name in ("maskedName", "born", "result", "region", "standingChecked")}

    async def present(self, person: Person, region: str, text: str) -> Answer:
        body = {"document": person, "region": region, "text": text}
        answer = await self._post("/v1/certificates:present", body, person)
        if "error" in answer:
            return {"error": answer["error"]}
        record = answer["record"]
        return {
            "created": answer["created"],
            "region": record["region"],
            "channel": record["channel"],
            "origin": record["origin"]["region"],
            "result": record["result"],
        }


def _given_json(person: Person, region: str, scope: str | None, code: Answer) -> Given:
    return Given(person, region, scope, code["at"], code["computedAt"], _json_bytes(code))


def _json_bytes(code: Answer) -> bytes:
    """All of a code but how it was come by."""
    return json.dumps({name: value for name, value in code.items() if name not in ("freshness", "age")}).encode()


def _code(answer: Answer) -> Answer:
    return {
        "status": answer["status"],
        "colour": answer["colour"],
        "scope": answer["scope"],
        "daysSinceTest": answer.get("daysSinceTest"),
        "validUntil": answer.get("validUntil"),
        "freshUntil": answer.get("freshUntil"),
        "grounds": [ground["clause"] for ground in answer["grounds"]],
        "reasons": sorted({reason["code"] for reason in answer["reasons"]}),
        "coverage": {entry["source"]: entry["status"] for entry in answer["coverage"]},
        "policy": answer["policy"]["id"],
        "notice": answer.get("notice"),
        "nationalWouldRecognise": answer.get("nationalWouldRecognise", False),
    }


class GrpcClient:
    """Over gRPC, with the generated stubs a regional system would use, each question with its holder's token."""

    def __init__(self, channel: grpc.aio.Channel, wallet: Wallet) -> None:
        self._wallet = wallet
        self._channel = channel
        self._stub = HealthCodeServiceStub(self._channel)

    async def close(self) -> None:
        await self._channel.close()

    async def _call(self, method: str, request: Any, *people: Person) -> Any:
        metadata = [("hutong-caller", "golden"), ("authorization", self._wallet.authorization(*people))]
        try:
            return await getattr(self._stub, method)(request, timeout=15, metadata=metadata)
        except grpc.aio.AioRpcError as rpc_error:
            error = from_rpc_error(rpc_error, "gateway")
            return {"error": error.reason, "fields": sorted(v.field.removeprefix("query.") for v in error.violations)}

    async def show(self, person: Person, region: str, **options: Any) -> Answer:
        query = _query(person, region, **options)
        reply = await self._call("ShowHealthCode", pb.ShowHealthCodeRequest(query=query), person)
        if isinstance(reply, dict):
            return reply
        return _verdict(reply.verdict) | {"given": [_given(person, region, options.get("scope"), reply.verdict)]}

    async def again(self, given: Sequence[Given]) -> Sequence[bytes]:
        queries = [_query(one.person, one.region, scope=one.scope, at=one.at, known_at=one.known_at) for one in given]
        request = pb.BatchShowHealthCodesRequest(queries=queries)
        reply = await self._call("BatchShowHealthCodes", request, *(one.person for one in given))
        return [_bytes(outcome.code.verdict) for outcome in reply.outcomes]

    async def destinations(self, person: Person, regions: Sequence[str], at: str | None) -> Answer:
        request = pb.CheckDestinationsRequest(
            document=_document(person),
            regions=regions,
            at=None if at is None else to_timestamp(parse_rfc3339(at)),
            view=pb.DestinationView.DESTINATION_VIEW_FULL,
        )
        reply = await self._call("CheckDestinations", request, person)
        verdicts = {item.region.region: item.code.code.verdict for item in reply.destinations}
        return {
            **{region: Status.Name(verdict.status).removeprefix("STATUS_") for region, verdict in verdicts.items()},
            "given": [_given(person, region, None, verdict) for region, verdict in verdicts.items()],
        }

    async def results(self, person: Person) -> Answer:
        reply = await self._call("ListResults", pb.ListResultsRequest(document=_document(person)), person)
        return {
            "results": [
                {
                    "region": item.record.region,
                    "origin": item.origin_region,
                    "result": TestResult.Name(item.record.content.result).removeprefix("TEST_RESULT_"),
                    "channel": Channel.Name(item.record.content.channel).removeprefix("CHANNEL_"),
                }
                for item in reply.results
            ],
            "coverage": _coverage(reply.coverage),
        }

    async def claim(self, person: Person, region: str) -> Answer:
        reply = await self._call(
            "ClaimResult", pb.ClaimResultRequest(document=_document(person), region=region), person
        )
        return reply if isinstance(reply, dict) else {"created": reply.created}

    async def switch(self, person: Person, region: str, scope: str) -> Answer:
        request = pb.SwitchScopeRequest(document=_document(person), region=region, scope=Scope.Value("SCOPE_" + scope))
        reply = await self._call("SwitchScope", request, person)
        return reply if isinstance(reply, dict) else {"scope": Scope.Name(reply.scope).removeprefix("SCOPE_")}

    async def certify(self, person: Person, region: str, source_id: str, laboratory: str) -> Answer:
        request = certificate_pb2.IssueCertificateRequest(
            document=_document(person),
            region=region,
            source_id=source_id,
            name=certificate_pb2.HolderName(
                surname=NAME["surname"], given_name=NAME["givenName"], written_name=NAME["writtenName"]
            ),
            purpose=Purpose.PURPOSE_RECORD_KEEPING,
        )
        metadata = [("hutong-caller", "golden"), ("authorization", self._wallet.laboratory(region, laboratory))]
        try:
            return {"text": (await self._stub.IssueCertificate(request, timeout=15, metadata=metadata)).text}
        except grpc.aio.AioRpcError as rpc_error:
            return {"error": from_rpc_error(rpc_error, "gateway").reason}

    async def verify(self, person: Person, text: str) -> Answer:
        request = certificate_pb2.VerifyCertificateRequest(text=text)
        reply = await self._call("VerifyCertificate", request, person)
        if not reply.verified:
            return {"reason": reply.reason}
        seen = reply.certificate
        return {
            "maskedName": seen.masked_name,
            "born": seen.born,
            "result": TestResult.Name(seen.result).removeprefix("TEST_RESULT_"),
            "region": seen.region,
            "standingChecked": seen.standing_checked,
        }

    async def present(self, person: Person, region: str, text: str) -> Answer:
        request = certificate_pb2.PresentCertificateRequest(document=_document(person), region=region, text=text)
        reply = await self._call("PresentCertificate", request, person)
        if isinstance(reply, dict):
            return {"error": reply["error"]}
        record = reply.record
        return {
            "created": reply.created,
            "region": record.region,
            "channel": Channel.Name(record.content.channel).removeprefix("CHANNEL_"),
            "origin": record.content.origin.region,
            "result": TestResult.Name(record.content.result).removeprefix("TEST_RESULT_"),
        }


def _query(
    person: Person,
    region: str,
    *,
    scope: str | None = None,
    at: str | None = None,
    known_at: str | None = None,
    refresh: bool = False,
) -> pb.HealthCodeQuery:
    return pb.HealthCodeQuery(
        document=_document(person),
        region=region,
        scope=Scope.Value(f"SCOPE_{scope or 'UNSPECIFIED'}"),
        at=None if at is None else to_timestamp(parse_rfc3339(at)),
        known_at=None if known_at is None else to_timestamp(parse_rfc3339(known_at)),
        refresh=refresh,
    )


def _given(person: Person, region: str, scope: str | None, verdict: Verdict) -> Given:
    at, known_at = (format_rfc3339(from_timestamp(instant)) for instant in (verdict.at, verdict.computed_at))
    return Given(person, region, scope, at, known_at, _bytes(verdict))


def _bytes(verdict: Verdict) -> bytes:
    return verdict.SerializeToString(deterministic=True)


def _document(person: Person) -> Document:
    return Document(type=DocumentType.Value("DOCUMENT_TYPE_" + person["type"]), number=person["number"])


def _coverage(entries: Any) -> dict[str, str]:
    return {entry.source: SourceStatus.Name(entry.status).removeprefix("SOURCE_STATUS_") for entry in entries}


def _verdict(verdict: Verdict) -> Answer:
    def instant(name: str) -> str | None:
        return format_rfc3339(from_timestamp(getattr(verdict, name))) if verdict.HasField(name) else None  # type: ignore[arg-type]

    return {
        "status": Status.Name(verdict.status).removeprefix("STATUS_"),
        "colour": Colour.Name(verdict.colour).removeprefix("COLOUR_"),
        "scope": Scope.Name(verdict.scope).removeprefix("SCOPE_"),
        "daysSinceTest": verdict.days_since_test if verdict.HasField("days_since_test") else None,
        "validUntil": instant("valid_until"),
        "freshUntil": instant("fresh_until"),
        "grounds": [ground.clause for ground in verdict.grounds],
        "reasons": sorted({reason.code for reason in verdict.reasons}),
        "coverage": _coverage(verdict.coverage),
        "policy": verdict.policy.policy_id,
        "notice": NoticeOutcome.Name(verdict.notice).removeprefix("NOTICE_OUTCOME_") if verdict.notice else None,
        "nationalWouldRecognise": verdict.national_would_recognise,
    }
