"""Records, and who was asked for them."""

from collections.abc import Iterable
from typing import Annotated

from hutong.lookup.v1 import evidence_service_pb2
from hutong.records.v1 import record_pb2
from hutong.verdict.v1 import verdict_pb2

from gateway.http.fields import RegionCode, described, instant, one_of
from gateway.http.names import ACTION, CHANNEL, KIND, RESULT, SOURCE, TUBE
from gateway.http.views.answer import Answer, maybe_instant


class EvidenceRef(Answer, frozen=True):
    """一条证据。 Names a piece of evidence."""

    region: Annotated[str, described("保存它的地区。 The region that keeps it.")]
    source_id: Annotated[str, described("在该地区的编号。 Its id there.")]
    revision: Annotated[int, described("所判定的版本。 The revision judged.")]


class Origin(Answer, frozen=True):
    """副本的出处。 Where a copy comes from."""

    region: Annotated[str, described("原件所在地区。 The region of the original.")]
    source_id: Annotated[str, described("原件编号，未知为空。 The original's id; empty when unknown.")]
    revision: Annotated[int, described("所复制的版本，未知为 0。 The revision copied; 0 when unknown.")]


class TestRecord(Answer, frozen=True):
    """一条检测记录。 A test record."""

    region: RegionCode
    source_id: Annotated[str, described("编号。 Its id within the region.")]
    revision: Annotated[int, described("版本。 The revision.")]
    kind: Annotated[str, one_of(KIND, "SAMPLING 采样记录, RESULT 检测报告.")]
    sampled_at: Annotated[str, instant("采样时间。 When the sample was taken.")] | None
    reported_at: Annotated[str, instant("报告时间。 When the report was issued.")] | None
    result: Annotated[str, one_of(RESULT, "NEGATIVE 阴性, POSITIVE 阳性, INCONCLUSIVE 无法判定.")] | None
    tube: Annotated[str, one_of(TUBE, "单检或混检。 Single tube or pool.")]
    laboratory: Annotated[str, described("检测机构。 The laboratory's id.")]
    site: Annotated[str, described("采样地区划代码。 GB/T 2260 code of the place of sampling.")]
    channel: Annotated[str, one_of(CHANNEL, "来源渠道。 How it reached the region that keeps it.")]
    origin: Origin | None
    action: Annotated[str, one_of(ACTION, "该版本的操作。 What the revision did.")]
    cause: Annotated[str, described("更正或撤回的原因。 Why it was amended or retracted.")] | None
    recorded_at: Annotated[str, instant("记录时间。 When the revision was committed.")] | None
    written_by: (
        Annotated[str, described("写入者，仅供监管。 The proven name of who wrote it, told to supervision alone.")]
        | None
    )


class Coverage(Answer, frozen=True):
    """一个数据源的应答。 What became of asking one source."""

    source: Annotated[str, described("地区代码或 nation。 A region's code, or nation.")]
    status: Annotated[
        str,
        one_of(SOURCE, "OK 已应答, UNREACHABLE 未能询问：不等于没有检测。 UNREACHABLE is never the same as no test."),
    ]
    as_of: Annotated[str, instant("数据截至。 It had everything up to then.")] | None


def evidence_ref(message: verdict_pb2.EvidenceRef) -> EvidenceRef:
    """Names a piece of evidence."""
    return EvidenceRef(message.region, message.source_id, message.revision)


def test_record(message: record_pb2.TestRecord) -> TestRecord:
    """Shows a record without its person."""
    content = message.content
    origin = content.origin
    return TestRecord(
        region=message.region,
        source_id=message.source_id,
        revision=message.revision,
        kind=KIND[content.kind],
        sampled_at=maybe_instant(content, "sampled_at"),
        reported_at=maybe_instant(content, "reported_at"),
        result=RESULT.maybe(content.result),
        tube=TUBE[content.tube],
        laboratory=content.laboratory,
        site=content.site,
        channel=CHANNEL[content.channel],
        origin=Origin(origin.region, origin.source_id, origin.revision) if content.HasField("origin") else None,
        action=ACTION[message.action],
        cause=message.cause or None,
        recorded_at=maybe_instant(message, "recorded_at"),
        written_by=message.written_by or None,
    )


def coverage(sources: Iterable[evidence_service_pb2.SourceCoverage]) -> list[Coverage]:
    """Shows what each source answered."""
    return [Coverage(source.source, SOURCE[source.status], maybe_instant(source, "as_of")) for source in sources]
