"""hutong.lookup.v1.HolderService."""

import re
from collections.abc import AsyncIterator, Callable
from uuid import UUID

from hutong.common.v1.subject_pb2 import Subject
from hutong.lookup.v1.holder_service_pb2 import (
    BatchListLinkedDocumentsRequest,
    BatchListLinkedDocumentsResponse,
    ClaimResultRequest,
    ClaimResultResponse,
    HolderChange,
    LinkDocumentsRequest,
    LinkDocumentsResponse,
    LinkedDocuments,
    ListLinkedDocumentsRequest,
    ListLinkedDocumentsResponse,
    SwitchScopeRequest,
    SwitchScopeResponse,
    UnlinkDocumentsRequest,
    UnlinkDocumentsResponse,
    WatchHoldersRequest,
    WatchHoldersResponse,
)

from services.common.documents import PersonKeys
from services.common.errors import FailedPrecondition, InvalidArgument, Violation, invalid
from services.common.instants import Instant, to_timestamp
from services.common.regions import require_region
from services.common.requests.limits import bad_page_token, check_batch, check_scope, page_size
from services.lookup.domain.holders import MOST_DOCUMENTS, Command, Decision, Link, Switch, Unlink
from services.lookup.holders.change_feed import HolderFeed
from services.lookup.holders.claims import Claimer
from services.lookup.servicers.questions import MOST_VIOLATIONS
from services.lookup.store.protocol import HolderStore
from services.runtime.rpc.call import current_call

MOST_CAUSE = 500
"""Characters a cause may have (holder_service.proto)."""

_KEY_HEX = re.compile(r"[0-9a-f]{32}")


class HolderServicer:
    """What holders decide and do. `clock` gives the present instant."""

    def __init__(
        self,
        keys: PersonKeys,
        store: HolderStore,
        feed: HolderFeed,
        claimer: Claimer,
        clock: Callable[[], Instant],
    ) -> None:
        self._keys = keys
        self._store = store
        self._feed = feed
        self._claimer = claimer
        self._clock = clock

    async def LinkDocuments(self, request: LinkDocumentsRequest) -> LinkDocumentsResponse:
        """See the contract. Raises FailedPrecondition (TOO_MANY_DOCUMENTS) besides."""
        decision = await self._commit(Link(*self._two_documents(request)))
        return LinkDocumentsResponse(person_keys=decision.person)

    async def UnlinkDocuments(self, request: UnlinkDocumentsRequest) -> UnlinkDocumentsResponse:
        """See the contract."""
        decision = await self._commit(Unlink(*self._two_documents(request)))
        return UnlinkDocumentsResponse(person_keys=decision.person)

    async def ListLinkedDocuments(self, request: ListLinkedDocumentsRequest) -> ListLinkedDocumentsResponse:
        """See the contract. Raises InvalidArgument (PAGE_SIZE, PAGE_TOKEN) besides."""
        key = self._keys.of_subject(request.subject)
        size = page_size(request.page_size, MOST_DOCUMENTS)
        if request.page_token and not _KEY_HEX.fullmatch(request.page_token):
            raise bad_page_token()
        person = (await self._store.people([key])).people.get(key)
        keys = person.keys if person is not None else (key,)
        if request.page_token and request.page_token != key.hex():
            after = bytes.fromhex(request.page_token)
            rest = tuple(other for other in keys[1:] if other > after)
        else:
            rest = keys[1:] if request.page_token else keys
        more = rest[size - 1].hex() if len(rest) > size else ""
        return ListLinkedDocumentsResponse(person_keys=rest[:size], next_page_token=more)

    async def BatchListLinkedDocuments(
        self, request: BatchListLinkedDocumentsRequest
    ) -> BatchListLinkedDocumentsResponse:
        """See the contract."""
        check_batch(len(request.subjects), "subjects")
        keys: list[bytes] = []
        violations: list[Violation] = []
        for index, subject in enumerate(request.subjects):
            try:
                keys.append(self._keys.of_subject(subject, f"subjects[{index}]"))
            except InvalidArgument as error:
                violations.extend(error.violations)
        if violations:
            raise InvalidArgument(*violations[:MOST_VIOLATIONS])
        people = (await self._store.people(list(dict.fromkeys(keys)))).people
        return BatchListLinkedDocumentsResponse(
            people=[LinkedDocuments(person_keys=people[key].keys if key in people else (key,)) for key in keys]
        )

    async def SwitchScope(self, request: SwitchScopeRequest) -> SwitchScopeResponse:
        """See the contract. Raises InvalidArgument (SCOPE_REQUIRED, SCOPE_UNKNOWN) besides."""
        key = self._keys.of_subject(request.subject)
        division = require_region(request.region)
        check_scope(request.scope, required=True)
        request_id = _request_id(request.request_id)
        if not division.scope_switch:
            raise FailedPrecondition(
                "SCOPE_SWITCH_UNSUPPORTED",
                "该地区的健康码不支持切换数据库",
                "The code of this region has no switch between databases",
            )
        await self._commit(Switch(key, division.code, request.scope, request_id))
        return SwitchScopeResponse(scope=request.scope)

    async def ClaimResult(self, request: ClaimResultRequest) -> ClaimResultResponse:
        """See the contract. Raises FailedPrecondition (RESULT_IS_LOCAL, CLAIM_RETRACTED) besides."""
        key = self._keys.of_subject(request.subject)
        division = require_region(request.region)
        named = None
        if request.origin_region or request.origin_source_id:
            require_region(request.origin_region, "origin_region")
            if not request.origin_source_id:
                raise invalid(
                    "origin_source_id",
                    "ORIGIN_INCOMPLETE",
                    "须同时填写来源地区和编号，或都不填",
                    "Name both the region and the id of the result, or neither",
                )
            named = (request.origin_region, request.origin_source_id)
        request_id = _request_id(request.request_id)
        record, created = await self._claimer.claim(key, division.code, named, current_call().purpose, request_id)
        return ClaimResultResponse(record=record, created=created)

    async def WatchHolders(self, request: WatchHoldersRequest) -> AsyncIterator[WatchHoldersResponse]:
        """See the contract. Raises FailedPrecondition (FEED_REBUILT) for a sequence beyond the last one."""
        if request.sequence < -1:
            raise invalid("sequence", "SEQUENCE_RANGE", "序号不能小于-1", "The sequence is at least -1")
        async for told in self._feed.watch(request.sequence):
            yield WatchHoldersResponse(
                changes=[
                    HolderChange(
                        sequence=event.sequence,
                        person_keys=event.person_keys,
                        recorded_at=to_timestamp(event.recorded_at),
                    )
                    for event in told.events
                ],
                sequence=told.position,
                as_of=None if told.as_of is None else to_timestamp(told.as_of),
            )

    def _two_documents(self, request: LinkDocumentsRequest | UnlinkDocumentsRequest) -> tuple[bytes, bytes, str, str]:
        one = self._keys.of_subject(request.subject, "subject")
        other = self._key_of_other(request.other, one)
        cause = request.cause.strip()
        if not cause:
            raise invalid("cause", "CAUSE_REQUIRED", "须说明原因", "The cause is required")
        if len(cause) > MOST_CAUSE:
            raise invalid(
                "cause", "CAUSE_TOO_LONG", f"原因最多{MOST_CAUSE}字", f"A cause has at most {MOST_CAUSE} characters"
            )
        return one, other, cause, _request_id(request.request_id)

    def _key_of_other(self, subject: Subject, one: bytes) -> bytes:
        other = self._keys.of_subject(subject, "other")
        if other == one:
            raise invalid("other", "SAME_DOCUMENT", "两份证件相同", "The two documents are the same")
        return other

    async def _commit(self, command: Command) -> Decision:
        decision = await self._store.commit(command, self._clock)
        if decision.changes:
            self._feed.committed()
        return decision


def _request_id(text: str) -> str:
    """A request id in its one form. Raises InvalidArgument (REQUEST_ID_FORMAT) unless it is empty or a UUID."""
    if not text:
        return ""
    try:
        return str(UUID(text))
    except ValueError:
        raise invalid("request_id", "REQUEST_ID_FORMAT", "请求编号应为UUID", "A request id is a UUID") from None
