"""Messages as JSON: camelCase names, enums by their names without the prefix, instants in RFC 3339 at +08:00, null for
what is absent. Written by hand, because google.protobuf.json_format costs more than a whole cached reply."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.error_pb2 import Error
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.gateway.v1.health_code_service_pb2 import Freshness, ListResultsResponse, ResultView
from hutong.lookup.v1.evidence_service_pb2 import SourceCoverage, SourceStatus
from hutong.lookup.v1.region_pb2 import InteropMode, Region, Scope
from hutong.records.v1.record_pb2 import Channel, RecordKind, RevisionAction, TestRecord, TestResult, Tube
from hutong.verdict.v1.verdict_pb2 import Colour, EvidenceRef, Ground, NoticeOutcome, PolicyRef, Reason, Status, Verdict

from services.common.errors import Code
from services.common.instants import format_rfc3339, from_timestamp

Json = dict[str, Any]

encode = msgspec.json.Encoder().encode


class EnumNames:
    """The names of an enum's values without their common prefix; UNSPECIFIED is None."""

    def __init__(self, enum: Any, prefix: str) -> None:
        self.values: dict[str, int] = {
            name.removeprefix(prefix): number for name, number in enum.items() if not name.endswith("_UNSPECIFIED")
        }
        self._names = {number: name for name, number in self.values.items()}

    def __getitem__(self, number: int) -> str | None:
        if number == 0:
            return None
        return self._names.get(number) or str(number)


STATUS = EnumNames(Status, "STATUS_")
COLOUR = EnumNames(Colour, "COLOUR_")
NOTICE = EnumNames(NoticeOutcome, "NOTICE_OUTCOME_")
SCOPE = EnumNames(Scope, "SCOPE_")
FRESHNESS = EnumNames(Freshness, "FRESHNESS_")
SOURCE = EnumNames(SourceStatus, "SOURCE_STATUS_")
INTEROP = EnumNames(InteropMode, "INTEROP_MODE_")
KIND = EnumNames(RecordKind, "RECORD_KIND_")
RESULT = EnumNames(TestResult, "TEST_RESULT_")
TUBE = EnumNames(Tube, "TUBE_")
CHANNEL = EnumNames(Channel, "CHANNEL_")
ACTION = EnumNames(RevisionAction, "REVISION_ACTION_")


def text(message: LocalizedText) -> Json:
    """{zh, en}."""
    return {"zh": message.zh, "en": message.en}


def _instant(timestamp: Timestamp) -> str:
    return format_rfc3339(from_timestamp(timestamp))


def _maybe(message: Any, field: str) -> str | None:
    return _instant(getattr(message, field)) if message.HasField(field) else None


def _ref(ref: EvidenceRef) -> Json:
    return {"region": ref.region, "sourceId": ref.source_id, "revision": ref.revision}


def _ground(ground: Ground) -> Json:
    return {
        "clause": ground.clause,
        "text": text(ground.text),
        "evidence": [_ref(ref) for ref in ground.evidence],
        "validUntil": _maybe(ground, "valid_until"),
    }


def _reason(reason: Reason) -> Json:
    return {
        "code": reason.code,
        "clause": reason.clause or None,
        "evidence": _ref(reason.evidence) if reason.HasField("evidence") else None,
        "text": text(reason.text),
    }


def coverage(sources: Sequence[SourceCoverage]) -> list[Json]:
    """Who was asked, and what became of it."""
    return [
        {"source": source.source, "status": SOURCE[source.status], "asOf": _maybe(source, "as_of")}
        for source in sources
    ]


def _policy(policy: PolicyRef) -> Json:
    return {
        "region": policy.region,
        "id": policy.policy_id,
        "effectiveFrom": _maybe(policy, "effective_from"),
        "contentHash": policy.content_hash.hex(),
    }


def record(message: TestRecord) -> Json:
    """A test record, without its person."""
    content = message.content
    origin = content.origin
    return {
        "region": message.region,
        "sourceId": message.source_id,
        "revision": message.revision,
        "kind": KIND[content.kind],
        "sampledAt": _maybe(content, "sampled_at"),
        "reportedAt": _maybe(content, "reported_at"),
        "result": RESULT[content.result],
        "tube": TUBE[content.tube],
        "laboratory": content.laboratory,
        "site": content.site,
        "channel": CHANNEL[content.channel],
        "origin": {"region": origin.region, "sourceId": origin.source_id, "revision": origin.revision}
        if content.HasField("origin")
        else None,
        "action": ACTION[message.action],
        "cause": message.cause or None,
        "recordedAt": _maybe(message, "recorded_at"),
    }


def verdict(message: Verdict) -> bytes:
    """The JSON of a code but for its start: `{`, its freshness, and its age when stale. See `code`."""
    shown: Json = {
        "region": message.region,
        "scope": SCOPE[message.scope],
        "at": _maybe(message, "at"),
        "status": STATUS[message.status],
        "colour": COLOUR[message.colour],
        "daysSinceTest": message.days_since_test if message.HasField("days_since_test") else None,
        "validUntil": _maybe(message, "valid_until"),
        "freshUntil": _maybe(message, "fresh_until"),
        "grounds": [_ground(ground) for ground in message.grounds],
        "reasons": [_reason(reason) for reason in message.reasons],
        "coverage": coverage(message.coverage),
        "policy": _policy(message.policy),
        "computedAt": _maybe(message, "computed_at"),
        "notice": NOTICE[message.notice],
        "nationalWouldRecognise": message.national_would_recognise,
        "daysEvidence": _ref(message.days_evidence) if message.HasField("days_evidence") else None,
        "newestTest": record(message.newest_test) if message.HasField("newest_test") else None,
    }
    return encode(shown)[1:]


_COMPUTED, _CACHED = Freshness.FRESHNESS_COMPUTED, Freshness.FRESHNESS_CACHED
COMPUTED_START = b'{"freshness":"COMPUTED","age":null,'
CACHED_START = b'{"freshness":"CACHED","age":null,'


def code(body: bytes, freshness: int, age: int) -> bytes:
    """A whole code from what `verdict` made; `age` in seconds counts when it is stale."""
    if freshness == _CACHED:
        return CACHED_START + body
    if freshness == _COMPUTED:
        return COMPUTED_START + body
    return b'{"freshness":"STALE","age":%d,' % age + body


def region(message: Region) -> Json:
    """A region of the directory."""
    return {
        "region": message.region,
        "displayName": text(message.display_name),
        "healthCode": message.health_code or None,
        "bloc": message.bloc or None,
        "interopMode": INTEROP[message.interop_mode],
        "onMesh": message.on_mesh,
        "scopeSwitch": message.scope_switch,
    }


def result(view: ResultView) -> Json:
    """One result as its holder sees it."""
    return {"record": record(view.record), "originRegion": view.origin_region, "copiedTo": list(view.copied_to)}


def results(page: ListResultsResponse) -> Json:
    """A page of one person's results."""
    return {
        "results": [result(view) for view in page.results],
        "coverage": coverage(page.coverage),
        "nextPageToken": page.next_page_token or None,
    }


@cache
def code_name(code: int) -> str:
    """The name of a gRPC status code, such as INVALID_ARGUMENT."""
    return Code(code).name


def json_path(field: str) -> str:
    """The path of a field in JSON from its path in the contract: origin_region is originRegion."""
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), field)


def item_error(error: Error) -> Json:
    """Why one item of a batch has no answer."""
    return {
        "status": code_name(error.code),
        "reason": error.reason,
        "message": text(error.message),
        "violations": [
            {"field": json_path(v.field), "reason": v.reason, "message": text(v.message)} for v in error.violations
        ],
    }
