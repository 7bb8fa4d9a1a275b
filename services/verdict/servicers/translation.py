"""Between the contract's messages and the values that are judged. On the way of every verdict, so it does no more than
it must: texts and references that depend on a policy alone are made once."""

from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.lookup.v1 import evidence_service_pb2
from hutong.records.v1 import laboratory_pb2, record_pb2
from hutong.verdict.v1 import verdict_pb2

from services.common.errors import Text
from services.common.instants import SECOND, Instant, from_timestamp, to_timestamp
from services.verdict.domain.evidence import values
from services.verdict.domain.evidence.values import Evidence, Interval, Laboratory, LeftOut, Origin, Record, Suspension
from services.verdict.domain.freshness import NEVER
from services.verdict.domain.policy.contents import Words
from services.verdict.domain.verdict import PolicyRef, Verdict

_OK = evidence_service_pb2.SOURCE_STATUS_OK
_RETRACTED = record_pb2.REVISION_ACTION_RETRACTED


def evidence(message: evidence_service_pb2.Evidence) -> Evidence:
    """Returns the evidence of a message."""
    return Evidence(
        region=message.region,
        scope=message.scope,
        records=tuple([record(item) for item in message.records]),
        laboratories={item.laboratory: laboratory(item) for item in message.laboratories},
        coverage={item.source: item.status == _OK for item in message.coverage},
        known_until={
            item.source: _instant(item.as_of)
            for item in message.coverage
            if item.status != _OK and item.HasField("as_of")
        },
        left_out={item.region: LeftOut(_instant(item.before), item.count, item.at_least) for item in message.left_out},
    )


def record(message: record_pb2.TestRecord) -> Record:
    """Returns the record of a message."""
    content = message.content
    has = content.HasField
    origin = None
    if has("origin") and content.origin.region:
        origin = Origin(content.origin.region, content.origin.source_id, content.origin.revision)
    return Record(
        region=message.region,
        source_id=message.source_id,
        revision=message.revision,
        kind=content.kind,
        result=content.result,
        tube=content.tube,
        channel=content.channel,
        laboratory=content.laboratory,
        sampled_at=_instant(content.sampled_at) if has("sampled_at") else None,
        reported_at=_instant(content.reported_at) if has("reported_at") else None,
        origin=origin,
        retracted=message.action == _RETRACTED,
        recorded_at=_instant(message.recorded_at),
    )


def _instant(timestamp: Timestamp) -> Instant:
    return Instant(timestamp.seconds * SECOND + timestamp.nanos // 1000)


def _interval(message: laboratory_pb2.Interval) -> Interval:
    # `from` is a keyword in Python.
    start = from_timestamp(getattr(message, "from")) if message.HasField("from") else None
    return Interval(start, from_timestamp(message.to) if message.HasField("to") else None)


def laboratory(message: laboratory_pb2.Laboratory) -> Laboratory:
    """Returns the laboratory of a message, with its standing over time."""
    return Laboratory(
        message.laboratory,
        tuple([_interval(interval) for interval in message.accredited]),
        tuple(
            [
                Suspension(
                    _interval(suspension.sampled),
                    from_timestamp(suspension.recorded_at) if suspension.HasField("recorded_at") else None,
                    from_timestamp(suspension.lifted_at) if suspension.HasField("lifted_at") else None,
                )
                for suspension in message.suspensions
            ]
        ),
    )


def localized(text: Text | Words) -> LocalizedText:
    """Returns the message of a text."""
    return LocalizedText(zh=text.zh, en=text.en)


@lru_cache(maxsize=1024)
def _policy_ref(ref: PolicyRef) -> verdict_pb2.PolicyRef:
    return verdict_pb2.PolicyRef(
        region=ref.region,
        policy_id=ref.policy_id,
        content_hash=ref.content_hash,
        effective_from=to_timestamp(ref.effective_from),
    )


def _set(timestamp: Timestamp, instant: Instant) -> None:
    timestamp.seconds, micros = divmod(instant, SECOND)
    timestamp.nanos = micros * 1000


def _ref(record: Record) -> dict[str, str | int]:
    return {"region": record.region, "source_id": record.source_id, "revision": record.revision}


def fill(message: verdict_pb2.Verdict, judged: Verdict, seen: evidence_service_pb2.Evidence) -> None:
    """Writes a verdict on the evidence seen into an empty message, with what it carries over from there: keys,
    coverage, the newest test as it stood at the instant judged. Parts made in place need not be copied in."""
    message.region = judged.region
    message.scope = judged.scope  # type: ignore[assignment]  # the numbers are the contract's, here and below
    message.status = judged.status  # type: ignore[assignment]
    message.colour = judged.colour  # type: ignore[assignment]
    message.notice = judged.notice  # type: ignore[assignment]
    message.national_would_recognise = judged.national_would_recognise
    _set(message.at, judged.at)
    _set(message.computed_at, judged.computed_at)
    if judged.valid_until is not None and judged.valid_until < NEVER:
        _set(message.valid_until, judged.valid_until)
    if judged.fresh_until is not None:
        _set(message.fresh_until, judged.fresh_until)
    if judged.days_since_test is not None and judged.days_evidence is not None:
        message.days_since_test = judged.days_since_test
        _fill_ref(message.days_evidence, judged.days_evidence)
    for ground in judged.grounds:
        shown = message.grounds.add(clause=ground.clause, evidence=[_ref(record) for record in ground.evidence])
        shown.text.zh, shown.text.en = ground.text.zh, ground.text.en
        if ground.valid_until is not None and ground.valid_until < NEVER:
            _set(shown.valid_until, ground.valid_until)
    for reason in judged.reasons:
        why = message.reasons.add(code=reason.code, clause=reason.clause)
        if reason.text is not None:
            why.text.zh, why.text.en = reason.text.zh, reason.text.en
        if reason.ended_at is not None and reason.ended_at < NEVER:
            _set(why.ended_at, reason.ended_at)
        if reason.evidence is not None:
            _fill_ref(why.evidence, reason.evidence)
    for further in judged.further_reasons:
        more = message.further_reasons.add(code=further.code, clause=further.clause, count=further.count)
        if further.text is not None:
            more.text.zh, more.text.en = further.text.zh, further.text.en
        if further.at_least:
            more.at_least = True
    message.scene = judged.scene  # type: ignore[assignment]
    message.judged_by_scene_rules = judged.judged_by_scene_rules
    message.coverage.extend(sorted(seen.coverage, key=_source) if len(seen.coverage) > 1 else seen.coverage)
    message.policy.CopyFrom(_policy_ref(judged.policy))
    message.person_keys.extend(seen.person_keys)
    message.laboratories.extend(judged.laboratories)
    if judged.newest is not None:
        _show_newest(message.newest_test, judged.newest, seen)


def _fill_ref(message: verdict_pb2.EvidenceRef, record: Record) -> None:
    message.region, message.source_id, message.revision = record.region, record.source_id, record.revision


def _source(coverage: evidence_service_pb2.SourceCoverage) -> str:
    return coverage.source


def _show_newest(shown: record_pb2.TestRecord, test: values.Test, seen: evidence_service_pb2.Evidence) -> None:
    content = test.content
    for record in seen.records:
        if (
            record.source_id == content.source_id
            and record.region == content.region
            and record.revision == content.revision
        ):
            shown.CopyFrom(record)
            # Who wrote it down is no part of an answer about the test.
            shown.ClearField("written_by")
            break
    if test.result == values.Result.AWAITED and shown.content.kind == record_pb2.RECORD_KIND_RESULT:
        # Reported after the instant judged: then, it was a sampling record.
        shown.content.kind = record_pb2.RECORD_KIND_SAMPLING
        shown.content.ClearField("result")
        shown.content.ClearField("reported_at")
