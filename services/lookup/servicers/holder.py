"""hutong.lookup.v1.HolderService."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Protocol

from hutong.common.v1.identity_pb2 import StoreIdentity
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.lookup.v1.holder_service_pb2 import (
    BatchListLinkedDocumentsRequest,
    BatchListLinkedDocumentsResponse,
    ClaimResultRequest,
    ClaimResultResponse,
    HolderChange,
    LinkDocumentsRequest,
    LinkDocumentsResponse,
    LinkedDocuments,
    ListHolderCorrectionRequestsRequest,
    ListHolderCorrectionRequestsResponse,
    ListLinkedDocumentsRequest,
    ListLinkedDocumentsResponse,
    PresentCertificateRequest,
    PresentCertificateResponse,
    RequestCorrectionRequest,
    RequestCorrectionResponse,
    SwitchScopeRequest,
    SwitchScopeResponse,
    UnlinkDocumentsRequest,
    UnlinkDocumentsResponse,
    WatchHoldersRequest,
    WatchHoldersResponse,
)

from services.common.documents import PersonKeys
from services.common.errors import FailedPrecondition, Violation, invalid
from services.common.instants import Instant, to_timestamp
from services.common.regions import divisions
from services.common.requests import fields
from services.common.requests.batches import check_batch
from services.common.requests.paging import digest, page_size, read_token, write_token
from services.common.requests.violations import Violations, violation
from services.lookup.domain.holders import MOST_DOCUMENTS, Command, Decision, Link, Switch, Unlink
from services.lookup.holders.change_feed import FeedBatch, HolderFeed
from services.lookup.holders.claims import Claimed, Claimer
from services.lookup.holders.corrections import Corrections
from services.lookup.identity import OwnIdentity
from services.lookup.servicers.request_ids import own_request_id
from services.lookup.store.protocol import HolderStore
from services.runtime.feeds.commit_signal import CommitSignal
from services.runtime.feeds.tail import Step, Tail
from services.runtime.rpc.call import current_call
from services.runtime.rpc.shared_message import SharedMessage

LOOK_SECONDS = 0.25
"""How soon a commit of another process is seen at the latest."""
SIGN_OF_LIFE_SECONDS = 0.5
"""Silence after which a sign of life is given; so one comes well within a second."""


class _Messages:
    """The feed as messages for its watchers."""

    poll_seconds = LOOK_SECONDS
    life_seconds = SIGN_OF_LIFE_SECONDS

    def __init__(self, feed: HolderFeed, identity: OwnIdentity) -> None:
        self._feed = feed
        self._identity = identity

    def number(self, position: int) -> int:
        return position

    async def read(self, after: int) -> Step[int]:
        return self._step(after, await self._feed.read(after), await self._identity.now())

    async def read_up_to(self, after: int, last: int) -> Step[int]:
        return self._step(after, await self._feed.read_up_to(after, last), await self._identity.now())

    def _step(self, after: int, batch: FeedBatch, identity: StoreIdentity) -> Step[int]:
        response = WatchHoldersResponse(
            changes=[
                HolderChange(
                    sequence=event.sequence,
                    person_keys=event.person_keys,
                    recorded_at=to_timestamp(event.recorded_at),
                )
                for event in batch.events
            ],
            sequence=batch.position,
            as_of=None if batch.as_of is None else to_timestamp(batch.as_of),
            identity=identity,
        )
        return Step(after, batch.position, SharedMessage(response), batch.as_of is not None)


class Presenter(Protocol):
    """Takes certificates as evidence."""

    async def present(
        self, key: bytes, region: str, certificate: str, purpose: Purpose.ValueType, request_id: str
    ) -> Claimed:
        """Keeps what a certificate proves in a region's record. Raises ServiceError."""
        ...


class HolderServicer:
    """Serves hutong.lookup.v1.HolderService. `clock` gives the present instant; without a presenter no certificates are
    taken."""

    def __init__(
        self,
        keys: PersonKeys,
        store: HolderStore,
        feed: HolderFeed,
        claimer: Claimer,
        corrections: Corrections,
        presenter: Presenter | None,
        identity: OwnIdentity,
        clock: Callable[[], Instant],
    ) -> None:
        self._keys = keys
        self._store = store
        self._signal = CommitSignal()
        self._tail = Tail(_Messages(feed, identity), self._signal)
        self._claimer = claimer
        self._corrections = corrections
        self._presenter = presenter
        self._identity = identity
        self._clock = clock

    async def LinkDocuments(self, request: LinkDocumentsRequest) -> LinkDocumentsResponse:
        """See the contract. Raises FailedPrecondition (TOO_MANY_DOCUMENTS) besides."""
        await self._identity.require(request.store)
        decision = await self._commit(Link(*self._two_documents(request)))
        return LinkDocumentsResponse(person_keys=decision.person, identity=await self._identity.now())

    async def UnlinkDocuments(self, request: UnlinkDocumentsRequest) -> UnlinkDocumentsResponse:
        """See the contract."""
        await self._identity.require(request.store)
        decision = await self._commit(Unlink(*self._two_documents(request)))
        return UnlinkDocumentsResponse(person_keys=decision.person, identity=await self._identity.now())

    async def ListLinkedDocuments(self, request: ListLinkedDocumentsRequest) -> ListLinkedDocumentsResponse:
        """See the contract. Raises InvalidArgument (PAGE_SIZE, PAGE_TOKEN) besides."""
        key = self._keys.of_subject(request.subject)
        size = page_size(request.page_size, MOST_DOCUMENTS)
        question = digest(key)
        after = read_token(request.page_token, question, bytes) if request.page_token else None
        person = (await self._store.people([key])).people.get(key)
        # The key asked for comes first, then the others in ascending order.
        keys = person.keys if person is not None else (key,)
        if after is not None:
            keys = tuple(other for other in keys[1:] if after == key or other > after)
        more = write_token(question, keys[size - 1]) if len(keys) > size else ""
        return ListLinkedDocumentsResponse(person_keys=keys[:size], next_page_token=more)

    async def BatchListLinkedDocuments(
        self, request: BatchListLinkedDocumentsRequest
    ) -> BatchListLinkedDocumentsResponse:
        """See the contract."""
        check_batch(len(request.subjects), "subjects")
        violations = Violations()
        keys = [
            violations.read(b"", partial(self._keys.of_subject, subject, f"subjects[{index}]"))
            for index, subject in enumerate(request.subjects)
        ]
        violations.refuse()
        people = (await self._store.people(list(dict.fromkeys(keys)))).people
        return BatchListLinkedDocumentsResponse(
            people=[LinkedDocuments(person_keys=people[key].keys if key in people else (key,)) for key in keys]
        )

    async def SwitchScope(self, request: SwitchScopeRequest) -> SwitchScopeResponse:
        """See the contract. Raises InvalidArgument (SCOPE_REQUIRED, SCOPE_UNKNOWN) besides."""
        violations = Violations()
        key = violations.read(b"", partial(self._keys.of_subject, request.subject))
        violations.add(fields.region(request.region))
        violations.add(fields.scope(request.scope, required=True))
        violations.add(_request_id(request.request_id, request.subject))
        violations.refuse()
        if not divisions()[request.region].scope_switch:
            raise FailedPrecondition(
                "SCOPE_SWITCH_UNSUPPORTED",
                "该地区的健康码不支持切换数据库",
                "The code of this region has no switch between databases",
            )
        await self._identity.require(request.store)
        await self._commit(
            Switch(key, request.region, request.scope, own_request_id(current_call(), request.request_id))
        )
        return SwitchScopeResponse(scope=request.scope, identity=await self._identity.now())

    async def ClaimResult(self, request: ClaimResultRequest) -> ClaimResultResponse:
        """See the contract. Raises FailedPrecondition (RESULT_IS_LOCAL, CLAIM_RETRACTED) besides."""
        violations = Violations()
        key = violations.read(b"", partial(self._keys.of_subject, request.subject))
        violations.add(fields.region(request.region))
        violations.add(
            fields.origin(request.origin_region, request.origin_source_id)
            or fields.not_the_subjects({"origin_source_id": request.origin_source_id}, request.subject)
        )
        violations.add(_request_id(request.request_id, request.subject))
        violations.refuse()
        named = (request.origin_region, request.origin_source_id) if request.origin_region else None
        request_id = own_request_id(current_call(), request.request_id)
        await self._identity.require(request.store)
        record, created = await self._claimer.claim(key, request.region, named, current_call().purpose, request_id)
        return ClaimResultResponse(record=record, created=created, identity=await self._identity.now())

    async def RequestCorrection(self, request: RequestCorrectionRequest) -> RequestCorrectionResponse:
        """See the contract. Raises FailedPrecondition (REGION_NOT_ON_MESH) besides."""
        violations = Violations()
        key = violations.read(b"", partial(self._keys.of_subject, request.subject))
        violations.add(fields.region(request.region))
        texts = {"source_id": request.source_id, "text": request.text}
        violations.add(fields.not_the_subjects(texts, request.subject))
        violations.add(_request_id(request.request_id, request.subject))
        violations.refuse()
        await self._identity.require(request.store)
        kept = await self._corrections.request(key, request, current_call().purpose)
        return RequestCorrectionResponse(
            correction_request=kept.correction_request, created=kept.created, identity=await self._identity.now()
        )

    async def ListHolderCorrectionRequests(
        self, request: ListHolderCorrectionRequestsRequest
    ) -> ListHolderCorrectionRequestsResponse:
        """See the contract."""
        key = self._keys.of_subject(request.subject)
        requests, coverage = await self._corrections.listed(key, current_call().purpose)
        return ListHolderCorrectionRequestsResponse(
            correction_requests=requests, coverage=coverage, identity=await self._identity.now()
        )

    async def PresentCertificate(self, request: PresentCertificateRequest) -> PresentCertificateResponse:
        """See the contract."""
        violations = Violations()
        key = violations.read(b"", partial(self._keys.of_subject, request.subject))
        violations.add(fields.region(request.region))
        violations.add(fields.certificate(request.certificate, "certificate"))
        violations.add(_request_id(request.request_id, request.subject))
        violations.refuse()
        await self._identity.require(request.store)
        if self._presenter is None:
            raise FailedPrecondition(
                "CERTIFICATES_NOT_TAKEN",
                "本系统没有受信的证书签发者，不接受证书",
                "No signer of certificates is trusted here: none is taken",
            )
        record, created = await self._presenter.present(
            key,
            request.region,
            request.certificate,
            current_call().purpose,
            own_request_id(current_call(), request.request_id),
        )
        return PresentCertificateResponse(record=record, created=created, identity=await self._identity.now())

    async def WatchHolders(self, request: WatchHoldersRequest) -> AsyncIterator[SharedMessage]:
        """See the contract. Raises FailedPrecondition (FEED_REBUILT) for a sequence beyond the last one."""
        if request.sequence < -1:
            raise invalid("sequence", "SEQUENCE_RANGE", "序号不能小于-1", "The sequence is at least -1")
        async with aclosing(self._tail.watch(request.sequence)) as messages:
            async for message in messages:
                yield message

    def _two_documents(self, request: LinkDocumentsRequest | UnlinkDocumentsRequest) -> tuple[bytes, bytes, str, str]:
        violations = Violations()
        one = violations.read(b"", partial(self._keys.of_subject, request.subject))
        other = violations.read(b"", partial(self._keys.of_subject, request.other, "other"))
        if one and one == other:
            violations.add(violation("other", "SAME_DOCUMENT", "两份证件相同", "The two documents are the same"))
        violations.add(
            fields.cause(request.cause)
            or fields.not_the_subjects({"cause": request.cause}, request.subject, request.other)
        )
        violations.add(_request_id(request.request_id, request.subject, request.other))
        violations.refuse()
        return one, other, request.cause.strip(), own_request_id(current_call(), request.request_id)

    async def _commit(self, command: Command) -> Decision:
        decision = await self._store.commit(command, self._clock)
        if decision.changes:
            self._signal.committed()
        return decision


def _request_id(request_id: str, *subjects: Subject) -> list[Violation]:
    """Returns what is wrong with the id of a request about these people."""
    return fields.request_id(request_id) or fields.not_the_subjects({"request_id": request_id}, *subjects)
