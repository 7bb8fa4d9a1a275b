"""A mesh in miniature for the gateway's tests: it judges by who is asked about, and can be told to fail."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

from hutong.common.v1.error_pb2 import Error
from hutong.common.v1.identity_pb2 import FollowedFeed, StoreIdentity, StoreKind
from hutong.common.v1.subject_pb2 import DocumentType
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.lookup.v1 import evidence_service_pb2, holder_service_pb2, region_directory_service_pb2
from hutong.lookup.v1.evidence_service_pb2 import Evidence, SourceCoverage, SourceStatus
from hutong.lookup.v1.region_pb2 import InteropMode, Region, Scope
from hutong.records.v1 import change_feed_service_pb2
from hutong.records.v1.change_feed_service_pb2 import Change, FeedCursor
from hutong.records.v1.correction_service_pb2 import CorrectionRequest
from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import RecordContent, RevisionAction, TestRecord
from hutong.verdict.v1 import policy_service_pb2, verdict_service_pb2
from hutong.verdict.v1.verdict_pb2 import Colour, EvidenceRef, Ground, PolicyRef, Reason, Status, Verdict
from hutong.verdict.v1.verdict_service_pb2 import VerdictOutcome
from msgspec.structs import replace

from gateway.composition import Gateway, build
from gateway.server import GatewayServer
from gateway.settings import GatewaySettings
from services.common.documents import PersonKeys
from services.common.errors import FailedPrecondition, NotFound, ServiceError, Unavailable
from services.common.identities import secret_fingerprint
from services.common.instants import DAY, HOUR, Instant, from_timestamp, to_timestamp
from services.common.regions import divisions
from services.runtime.clock import system_clock
from services.runtime.rpc.health import Degraded
from tests.testkit.identities import lookup_identity
from tests.testkit.secret import SECRET

KEYS = PersonKeys(SECRET.encode())

NUMBER = "11010519491231002X"
"""GB 11643's own example; nobody has it."""
DOCUMENT = {"type": "RESIDENT_ID", "number": NUMBER}


def key(document_type: DocumentType.ValueType, number: str) -> bytes:
    """The person key of a document in the test's mesh."""
    return KEYS.of_number(document_type, number)


PERSON = key(DocumentType.DOCUMENT_TYPE_RESIDENT_ID, NUMBER)

ON_MESH = ("110000", "210000", "430000")
DOWN = Unavailable("SERVICE_UNREACHABLE", "verdict 服务无法连接", "The verdict service cannot be reached")


def record(person: bytes = PERSON, region: str = "430000", source_id: str = "S1", **content: object) -> TestRecord:
    """A negative report, sampled ten hours ago and reported two hours later."""
    now = system_clock()
    fields: dict[str, object] = {
        "kind": 2,
        "sampled_at": to_timestamp(Instant(now - 10 * HOUR)),
        "reported_at": to_timestamp(Instant(now - 8 * HOUR)),
        "result": 1,
        "tube": 1,
        "laboratory": "430000-xiangya",
        "site": "430100",
        "channel": 1,
    }
    return TestRecord(
        region=region,
        source_id=source_id,
        revision=1,
        person_key=person,
        content=RecordContent(**{**fields, **content}),  # type: ignore[arg-type]
        action=RevisionAction.REVISION_ACTION_SUBMITTED,
        recorded_at=to_timestamp(now),
    )


class Mesh:
    """Implements every port of the gateway. `calls` counts what was asked, `failing` is raised instead of an answer,
    `shape` changes a verdict before it is given, `gate` holds computations until it is set."""

    def __init__(self, clock: Callable[[], Instant] = system_clock) -> None:
        self.clock = clock
        self.records: dict[bytes, list[TestRecord]] = defaultdict(list)
        self.links: dict[bytes, list[bytes]] = {}
        self.scopes: dict[tuple[bytes, str], int] = {}
        self.calls: dict[str, int] = defaultdict(int)
        self.batches: list[int] = []
        self.asked: list[verdict_service_pb2.VerdictQuery] = []
        self.failing: ServiceError | None = None
        self.refusing: ServiceError | None = None
        """What a certificate that is presented is refused with."""
        self.item_error: ServiceError | None = None
        self.shape: Callable[[Verdict], None] = lambda verdict: None
        self.gate: asyncio.Event | None = None
        self.digests = dict.fromkeys(divisions(), b"digest-1")
        self.unreachable: set[str] = set()
        self.laboratories: list[Laboratory] = []
        self.corrections: defaultdict[bytes, list[CorrectionRequest]] = defaultdict(list)
        self.claimed: dict[tuple[bytes, str], TestRecord] = {}
        self.cut = self.holders_cut = False
        self.feed_id = "history-1"
        self.secret = SECRET
        self.followed = {region: f"feed-{region}" for region in divisions()}
        self.asked_feeds = dict(self.followed)
        self.changes: list[Change] = []
        self.holder_changes: list[holder_service_pb2.HolderChange] = []
        self._told = asyncio.Condition()

    # The verdict service.

    async def BatchComputeVerdicts(
        self, request: verdict_service_pb2.BatchComputeVerdictsRequest
    ) -> verdict_service_pb2.BatchComputeVerdictsResponse:
        self.calls["verdict"] += 1
        self.batches.append(len(request.queries))
        self.asked += request.queries
        judged = [self._judge(query) for query in request.queries]
        if self.gate is not None:
            await self.gate.wait()
        if self.failing is not None:
            raise self.failing
        judge = verdict_service_pb2.Judge(evidence=self.lookup_identity())
        return verdict_service_pb2.BatchComputeVerdictsResponse(outcomes=judged, judge=judge)

    def _judge(self, query: verdict_service_pb2.VerdictQuery) -> VerdictOutcome:
        if self.item_error is not None:
            text = LocalizedText(zh=self.item_error.text.zh, en=self.item_error.text.en)
            return VerdictOutcome(error=Error(code=self.item_error.code, reason=self.item_error.reason, message=text))
        person = query.subject.person_key
        now = self.clock()
        at = from_timestamp(query.at) if query.HasField("at") else now
        records = self.records[person]
        scope = query.scope or self.scopes.get((person, query.region), Scope.SCOPE_NATIONAL)
        own = [one for one in records if one.region == query.region]
        seen = own if scope == Scope.SCOPE_LOCAL else records
        verdict = Verdict(
            region=query.region,
            scope=scope,  # type: ignore[arg-type]
            at=to_timestamp(at),
            status=Status.STATUS_RECOGNISED if seen else Status.STATUS_NOT_RECOGNISED,
            colour=Colour.COLOUR_GREEN if seen else Colour.COLOUR_GREY,
            fresh_until=to_timestamp(Instant(now + DAY)),
            coverage=self._coverage(query.region),
            policy=PolicyRef(
                region=query.region,
                policy_id=f"{query.region}-2022-07-02",
                content_hash=b"\x01" * 32,
                effective_from=to_timestamp(Instant(0)),
            ),
            computed_at=to_timestamp(now),
            person_keys=[person, *self.links.get(person, [])],
            laboratories=sorted({one.content.laboratory for one in records}),
        )
        if seen:
            refs = [EvidenceRef(region=one.region, source_id=one.source_id, revision=one.revision) for one in seen]
            until = to_timestamp(Instant(now + 2 * DAY))
            verdict.valid_until.CopyFrom(until)
            text = LocalizedText(zh="72小时内的阴性报告", en="A negative report within 72 hours")
            verdict.grounds.append(Ground(clause="result-72h", text=text, evidence=refs, valid_until=until))
            verdict.newest_test.CopyFrom(seen[0])
        else:
            text = LocalizedText(zh="没有检测记录", en="No test is known")
            verdict.reasons.append(Reason(code="NO_EVIDENCE", text=text))
        if own:
            verdict.days_since_test = 0
            verdict.days_evidence.CopyFrom(
                EvidenceRef(region=own[0].region, source_id=own[0].source_id, revision=own[0].revision)
            )
        self.shape(verdict)
        certain = verdict.status in (Status.STATUS_POSITIVE, Status.STATUS_UNDETERMINED)
        if not certain and any(one.status != SourceStatus.SOURCE_STATUS_OK for one in verdict.coverage):
            verdict.reasons.append(Reason(code="SOURCE_SILENT"))
        return VerdictOutcome(verdict=verdict, policy_digest=self.digests.get(query.region, b""))

    def _coverage(self, region: str) -> list[SourceCoverage]:
        now = to_timestamp(self.clock())
        return [
            SourceCoverage(source=source, status=SourceStatus.SOURCE_STATUS_UNREACHABLE)
            if source in self.unreachable
            else SourceCoverage(source=source, status=SourceStatus.SOURCE_STATUS_OK, as_of=now)
            for source in (region, "nation")
        ]

    async def GetPolicyDigests(
        self, request: policy_service_pb2.GetPolicyDigestsRequest
    ) -> policy_service_pb2.GetPolicyDigestsResponse:
        self.calls["digests"] += 1
        if self.failing is not None:
            raise self.failing
        return policy_service_pb2.GetPolicyDigestsResponse(digests=self.digests)

    async def FindStricterPolicies(
        self, request: policy_service_pb2.FindStricterPoliciesRequest
    ) -> policy_service_pb2.FindStricterPoliciesResponse:
        return policy_service_pb2.FindStricterPoliciesResponse()

    # The lookup service.

    async def BatchGetEvidence(
        self, request: evidence_service_pb2.BatchGetEvidenceRequest
    ) -> evidence_service_pb2.BatchGetEvidenceResponse:
        self.calls["evidence"] += 1
        if self.failing is not None:
            raise self.failing
        return evidence_service_pb2.BatchGetEvidenceResponse(
            evidence=[
                Evidence(
                    region=query.region,
                    scope=query.scope,
                    person_keys=[query.subject.person_key],
                    records=self.records[query.subject.person_key],
                    coverage=self._coverage(query.region),
                    laboratories=self.laboratories,
                )
                for query in request.queries
            ],
            identity=self.lookup_identity(),
        )

    async def ClaimResult(
        self, request: holder_service_pb2.ClaimResultRequest
    ) -> holder_service_pb2.ClaimResultResponse:
        self.calls["claim"] += 1
        if self.failing is not None:
            raise self.failing
        person, region = request.subject.person_key, request.region
        if (person, region) in self.claimed:
            return holder_service_pb2.ClaimResultResponse(
                record=self.claimed[person, region], identity=self.lookup_identity()
            )
        elsewhere = [one for one in self.records[person] if one.region != region]
        if not elsewhere:
            raise NotFound("RESULT_NOT_FOUND", "没有可上传的结果", "No such result is known")
        copy = TestRecord()
        copy.CopyFrom(elsewhere[0])
        copy.region, copy.source_id = region, f"C-{elsewhere[0].source_id}"
        copy.content.origin.region, copy.content.origin.source_id = elsewhere[0].region, elsewhere[0].source_id
        self.claimed[person, region] = copy
        self.records[person].append(copy)
        return holder_service_pb2.ClaimResultResponse(record=copy, created=True, identity=self.lookup_identity())

    async def PresentCertificate(
        self, request: holder_service_pb2.PresentCertificateRequest
    ) -> holder_service_pb2.PresentCertificateResponse:
        self.calls["present"] += 1
        refusal = self.failing or self.refusing
        if refusal is not None:
            raise refusal
        person, region = request.subject.person_key, request.region
        kept = record(person, region, "cert-S1", channel=4)
        kept.content.origin.region, kept.content.origin.source_id = "430000", "S1"
        self.records[person].append(kept)
        return holder_service_pb2.PresentCertificateResponse(record=kept, created=True, identity=self.lookup_identity())

    async def SwitchScope(
        self, request: holder_service_pb2.SwitchScopeRequest
    ) -> holder_service_pb2.SwitchScopeResponse:
        self.calls["switch"] += 1
        self.scopes[request.subject.person_key, request.region] = request.scope
        return holder_service_pb2.SwitchScopeResponse(scope=request.scope, identity=self.lookup_identity())

    async def RequestCorrection(
        self, request: holder_service_pb2.RequestCorrectionRequest
    ) -> holder_service_pb2.RequestCorrectionResponse:
        self.calls["correction"] += 1
        if self.failing is not None:
            raise self.failing
        kept = self.corrections[request.subject.person_key]
        same = [one for one in kept if (one.source_id, one.kind) == (request.source_id, request.kind)]
        if not same:
            made = CorrectionRequest(
                correction_request_id=f"K{len(kept)}",
                region=request.region,
                source_id=request.source_id,
                revision=1,
                laboratory="430000-xiangya",
                kind=request.kind,
                text=request.text,
                requested_at=to_timestamp(self.clock()),
            )
            kept.insert(0, made)
        return holder_service_pb2.RequestCorrectionResponse(
            correction_request=kept[0], created=not same, identity=self.lookup_identity()
        )

    async def ListHolderCorrectionRequests(
        self, request: holder_service_pb2.ListHolderCorrectionRequestsRequest
    ) -> holder_service_pb2.ListHolderCorrectionRequestsResponse:
        self.calls["corrections"] += 1
        if self.failing is not None:
            raise self.failing
        return holder_service_pb2.ListHolderCorrectionRequestsResponse(
            correction_requests=self.corrections[request.subject.person_key],
            coverage=self._coverage("430000"),
            identity=self.lookup_identity(),
        )

    async def ListRegions(
        self, request: region_directory_service_pb2.ListRegionsRequest
    ) -> region_directory_service_pb2.ListRegionsResponse:
        self.calls["regions"] += 1
        if self.failing is not None:
            raise self.failing
        listed = [
            Region(
                region=one.code,
                display_name=LocalizedText(zh=one.name.zh, en=one.name.en),
                health_code=one.health_code,
                bloc=one.bloc,
                interop_mode=InteropMode.INTEROP_MODE_SHARE,
                on_mesh=one.code in ON_MESH,
                scope_switch=one.scope_switch,
            )
            for one in divisions().values()
        ]
        start = int(request.page_token or 0)
        size = request.page_size or 100
        more = str(start + size) if start + size < len(listed) else ""
        return region_directory_service_pb2.ListRegionsResponse(
            regions=listed[start : start + size], next_page_token=more
        )

    # The feeds.

    async def tell(
        self,
        changed: TestRecord | Laboratory | None = None,
        *,
        person: bytes | None = None,
        laboratory: str | None = None,
        holder: bytes | None = None,
    ) -> None:
        """Puts a change on a feed."""
        async with self._told:
            if isinstance(changed, TestRecord):
                self.changes.append(Change(sequence=len(self.changes) + 1, record=changed))
            elif changed is not None:
                self.changes.append(Change(sequence=len(self.changes) + 1, laboratory=changed))
            if person is not None:
                change = Change(sequence=len(self.changes) + 1, record=TestRecord(person_key=person))
                self.changes.append(change)
            if laboratory is not None:
                change = Change(sequence=len(self.changes) + 1, laboratory=Laboratory(laboratory=laboratory))
                self.changes.append(change)
            if holder is not None:
                sequence = len(self.holder_changes) + 1
                self.holder_changes.append(holder_service_pb2.HolderChange(sequence=sequence, person_keys=[holder]))
            self._told.notify_all()

    async def _wait(self) -> None:
        async with self._told:
            try:
                async with asyncio.timeout(0.2):
                    await self._told.wait()
            except TimeoutError:
                pass

    def lookup_identity(self) -> StoreIdentity:
        """Returns who lookup is, with the feeds of the stores that it asks."""
        secret = secret_fingerprint(self.secret.encode())
        identity = lookup_identity(self.asked_feeds | {"nation": self.feed_id})
        identity.secret_fingerprint = secret
        return identity

    def identity(self, feed_id: str) -> StoreIdentity:
        """Returns who the nation's store is, with the feeds that it follows."""
        return StoreIdentity(
            kind=StoreKind.STORE_KIND_RECORDS,
            region="nation",
            feed_id=feed_id,
            secret_fingerprint=secret_fingerprint(self.secret.encode()),
            follows=[FollowedFeed(region=region, feed_id=feed) for region, feed in self.followed.items()],
        )

    async def WatchChanges(
        self, request: change_feed_service_pb2.WatchChangesRequest
    ) -> AsyncIterator[change_feed_service_pb2.WatchChangesResponse]:
        first = True
        if self.cut:
            raise Unavailable("SERVICE_UNREACHABLE", "无法连接", "Cannot be reached")
        at = request.cursor.sequence
        if at == -1:
            at = len(self.changes)
        elif request.cursor.feed_id not in ("", self.feed_id) or at > len(self.changes):
            raise FailedPrecondition("FEED_REBUILT", "变更流已重建", "The feed has been rebuilt")
        feed_id = self.feed_id
        while True:
            if self.cut or feed_id != self.feed_id:
                raise Unavailable("SERVICE_UNREACHABLE", "无法连接", "Cannot be reached")
            fresh = self.changes[at:]
            at = len(self.changes)
            yield change_feed_service_pb2.WatchChangesResponse(
                changes=fresh,
                cursor=FeedCursor(feed_id=feed_id, sequence=at),
                as_of=to_timestamp(self.clock()),
                identity=self.identity(feed_id),
            )
            # Who only wants to know whose feed it is reads no further.
            self.calls["watch"] += first
            first = False
            if len(self.changes) == at:
                await self._wait()

    async def WatchHolders(
        self, request: holder_service_pb2.WatchHoldersRequest
    ) -> AsyncIterator[holder_service_pb2.WatchHoldersResponse]:
        at = len(self.holder_changes) if request.sequence == -1 else request.sequence
        while True:
            if self.cut or self.holders_cut:
                raise Unavailable("SERVICE_UNREACHABLE", "无法连接", "Cannot be reached")
            fresh = self.holder_changes[at:]
            at = len(self.holder_changes)
            yield holder_service_pb2.WatchHoldersResponse(
                changes=fresh, sequence=at, as_of=to_timestamp(self.clock()), identity=self.lookup_identity()
            )
            if len(self.holder_changes) == at:
                await self._wait()


DEVELOPMENT = TemporaryDirectory(prefix="hutong-development-")
"""The folder of the development issuer's key."""


def compose(mesh: Mesh, settings: GatewaySettings | None = None, **overrides: object) -> Gateway:
    """A gateway over this mesh."""
    settings = settings or GatewaySettings(mesh_secret=SECRET)
    if not settings.issuers and not settings.development:
        settings = replace(settings, development=DEVELOPMENT.name)
    return build(
        settings,
        verdict=mesh,
        evidence=mesh,
        holders=mesh,
        holder_feed=mesh,
        regions=mesh,
        news=mesh,
        policies=mesh,
        clock=mesh.clock,
        **overrides,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def serving(
    mesh: Mesh, settings: GatewaySettings | None = None, **overrides: object
) -> AsyncIterator[tuple[int, int]]:
    """A gateway over this mesh on its own ports: HTTP, gRPC. Its cache has news when this is entered."""
    settings = settings or GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0")
    gateway = compose(mesh, settings, **overrides)
    server = GatewayServer(gateway, settings)
    async with gateway.service.running():
        ports = await server.start()
        try:
            await until_ready(gateway)
            yield ports
        finally:
            await server.drain(0, 0.2)


async def _well(gateway: Gateway) -> bool:
    for ping in gateway.service.pings.values():
        try:
            await ping()
        except (Degraded, RuntimeError):
            return False
    return True


async def until_ready(gateway: Gateway, seconds: float = 10.0) -> None:
    """Waits until every component is up."""
    async with asyncio.timeout(seconds):
        while not await _well(gateway):
            await asyncio.sleep(0.02)
