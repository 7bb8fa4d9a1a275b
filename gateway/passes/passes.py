"""Passes and trust bundles, as the gateway gives them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from secrets import token_bytes

import segno
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.gateway.v1.health_code_service_pb2 import (
    Freshness,
    GetTrustBundleResponse,
    HealthCodeQuery,
    IssuePassRequest,
    IssuePassResponse,
)
from hutong.gateway.v1.left_out_pb2 import OptionalPart
from hutong.lookup.v1.evidence_service_pb2 import BatchGetEvidenceRequest, EvidenceQuery
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1.record_pb2 import TestRecord
from hutong.verdict.v1.verdict_pb2 import Verdict

from gateway.application.application import Application
from gateway.load.optional_parts import OptionalParts, left_out
from gateway.passes.keys import PassKeyFile, PassKeys
from gateway.passes.voids import Voids
from gateway.ports import Evidence
from services.certificates.passes.bundle import ROOT_REGION, Bundle, PassKey
from services.certificates.passes.contents import (
    NONCE_BYTES,
    Pass,
    RestsOn,
    issue_pass,
    laboratory_digest,
    record_digest,
)
from services.common.errors import FailedPrecondition, Unavailable, Violation
from services.common.instants import SECOND, to_datetime
from services.runtime.clock import Clock
from services.runtime.rpc.call import stated_name

_BETWEEN_NAMES = re.compile("[\u00b7\u2022\u2027\u30fb]")
"""The dots that people write between the parts of a name."""
_LONG_SURNAMES = frozenset(
    """
    欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台 皇甫 宗政 濮阳 公冶 太叔 申屠
    公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于 司空 令狐 呼延 轩辕 西门 东郭 百里 淳于 单于 拓跋 第五 左丘 公良 公西 梁丘
    亓官 司寇 子车 段干 歐陽 東方 諸葛 尉遲 鍾離 長孫 東郭 單于 軒轅 西門
    """.split()
)
_QR_SVG = OptionalPart.OPTIONAL_PART_QR_SVG
LIVES = timedelta(minutes=3)
KEYS_BEFORE = timedelta(hours=1)
KEYS_AFTER = timedelta(days=30)


@dataclass(frozen=True)
class PassSources:
    """The means to issue passes: the keys, what is void, and the names of those people that the gateway knows by name,
    by person key."""

    keys: PassKeyFile
    voids: Voids
    names: Mapping[bytes, str]


class Passes:
    """Issues passes and bundles; without sources none."""

    def __init__(
        self,
        application: Application,
        evidence: Evidence,
        sources: PassSources | None,
        optional: OptionalParts,
        *,
        clock: Clock,
        news_seconds: float,
    ) -> None:
        self._application = application
        self._evidence = evidence
        self._sources = sources
        self._optional = optional
        self._clock = clock
        self._oldest = int(news_seconds * SECOND)

    async def issue(
        self, request: IssuePassRequest, purpose: Purpose.ValueType, prior: tuple[Violation, ...] = ()
    ) -> IssuePassResponse:
        """Issues a pass for the code as it is now, without its picture when there is too much to do. Raises
        ServiceError: FAILED_PRECONDITION (PASSES_NOT_ISSUED) without a key, UNAVAILABLE (VERDICT_STALE) where the last
        verdict alone is known."""
        sources = self._given()
        asked = HealthCodeQuery(document=request.document, region=request.region, scene=request.scene)
        query = self._application.admission.query(asked, "", prior)
        shown = await self._application.show(query, purpose)
        if shown.freshness == Freshness.FRESHNESS_STALE:
            text = "服务未应答，只知最近一次结论，不签发通行码", "Only the last verdict is known: no pass is issued"
            raise Unavailable("VERDICT_STALE", *text)
        code = shown.message()
        verdict = code.verdict
        issued_at = to_datetime(self._clock()).astimezone(UTC).replace(microsecond=0)
        stated = stated_name(query.person)
        contents = Pass(
            region=request.region,
            scene=request.scene,
            word=verdict.status,
            colour=verdict.colour,
            until=_seconds(verdict.valid_until) if verdict.HasField("valid_until") else None,
            initials=masked(sources.names.get(query.person) or (stated.written if stated else "")),
            born=(query.born or (stated.born.isoformat() if stated and stated.born else ""))[5:],
            rests_on=await self._rests_on(verdict, query.person, purpose),
            nonce=token_bytes(NONCE_BYTES),
            issued_at=issued_at,
            expires_at=_end(verdict, issued_at),
        )
        keys = sources.keys.current[0]
        key = keys.regions[request.region]
        text_ = issue_pass(contents, key.pem, _pass_key(request.region, keys, issued_at))
        svg = await self._optional.make(_QR_SVG, partial(qr_svg, text_))
        return IssuePassResponse(
            text=text_,
            issued_at=_timestamp(contents.issued_at),
            expires_at=_timestamp(contents.expires_at),
            masked_name=contents.initials,
            qr_svg=svg or "",
            code=code,
            left_out=left_out([_QR_SVG]) if svg is None else None,
        )

    async def bundle(self) -> GetTrustBundleResponse:
        """Makes a whole bundle. Raises ServiceError: FAILED_PRECONDITION (PASSES_NOT_ISSUED), and UNAVAILABLE
        (VOIDS_UNKNOWN) where the nation was not heard lately: a gate goes on with the bundle that it has."""
        sources = self._given()
        now = self._clock()
        heard_at = sources.voids.heard_at
        if heard_at is None or heard_at < now - self._oldest:
            text = "近来听不到变更，不知哪些结果已作废", "The changes are not heard: what is void is not known"
            raise Unavailable("VOIDS_UNKNOWN", *text)
        made_at = to_datetime(now).astimezone(UTC).replace(microsecond=0)
        keys = sources.keys.current
        bundle = Bundle(
            number=now // 1000,
            after=0,
            made_at=made_at,
            keys=tuple(_pass_key(region, one, made_at) for one in keys for region in one.regions),
            void_records=sources.voids.records,
            void_intervals=sources.voids.intervals,
            roots=tuple(one.root.public_bytes for one in keys),
        )
        root = keys[0].root
        signer = PassKey(ROOT_REGION, root.public_key, made_at, made_at)
        return GetTrustBundleResponse(
            bundle=bundle.encoded(root.pem, signer), root=root.public_bytes, made_at=_timestamp(made_at)
        )

    def _given(self) -> PassSources:
        if self._sources is None:
            text = "本网关没有通行码密钥，不签发通行码", "This gateway has no pass key, and issues no passes"
            raise FailedPrecondition("PASSES_NOT_ISSUED", *text)
        return self._sources

    async def _rests_on(self, verdict: Verdict, person: bytes, purpose: Purpose.ValueType) -> tuple[RestsOn, ...]:
        named = {(ref.region, ref.source_id) for ground in verdict.grounds for ref in ground.evidence}
        newest = verdict.newest_test
        records = {(newest.region, newest.source_id): newest}
        if not named <= records.keys():
            query = EvidenceQuery(subject=Subject(person_key=person), region=verdict.region, scope=Scope.SCOPE_NATIONAL)
            asked = BatchGetEvidenceRequest(queries=[query], purpose=purpose)
            for evidence in (await self._evidence.BatchGetEvidence(asked)).evidence:
                records |= {(one.region, one.source_id): one for one in evidence.records}
        return tuple(
            _rests_on(region, source_id, records.get((region, source_id))) for region, source_id in sorted(named)
        )


def _rests_on(region: str, source_id: str, record: TestRecord | None) -> RestsOn:
    # Of a record whose content cannot be had the laboratory is nobody's: it is void by its own digest alone.
    content = record.content if record is not None else TestRecord().content
    sampled_at = content.sampled_at if content.HasField("sampled_at") else content.reported_at
    return RestsOn(record_digest(region, source_id), laboratory_digest(content.laboratory), _seconds(sampled_at))


def _pass_key(region: str, keys: PassKeys, at: datetime) -> PassKey:
    return PassKey(region, keys.regions[region].public_key, at - KEYS_BEFORE, at + KEYS_AFTER)


def _end(verdict: Verdict, issued_at: datetime) -> datetime:
    end = issued_at + LIVES
    if verdict.HasField("fresh_until"):
        end = min(end, max(_seconds(verdict.fresh_until), issued_at))
    return end


def _seconds(timestamp: Timestamp) -> datetime:
    return datetime.fromtimestamp(timestamp.seconds, UTC)


def _timestamp(moment: datetime) -> Timestamp:
    return Timestamp(seconds=int(moment.timestamp()))


def masked(name: str) -> str:
    """Returns a name as a guard sees it: of each word the first letter, such as 张*, L* W* and 买* 艾*; a surname of
    two characters stays whole (欧阳*), since the first alone would be another surname."""
    words = _BETWEEN_NAMES.sub(" ", name).split()[:4]
    return " ".join(f"{word[: 2 if len(word) > 2 and word[:2] in _LONG_SURNAMES else 1]}*" for word in words)


def qr_svg(text: str) -> str:
    """Returns the QR code of a pass at level M, as an SVG image."""
    image = BytesIO()
    segno.make_qr(text, error="m", boost_error=False).save(
        image, kind="svg", border=4, light="#fff", xmldecl=False, omitsize=True
    )
    return image.getvalue().decode().strip()
