"""Accesses: the part of the gateway's audit trail, or of all its replicas', that is about one person."""

import asyncio
from collections.abc import Collection
from pathlib import Path

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.health_code_service_pb2 import Access, ListAccessesRequest, ListAccessesResponse

from gateway.application.admission import Admission
from services.common.errors import Code, ServiceError, Text, Unavailable
from services.common.instants import to_timestamp
from services.common.requests.paging import digest, page_size, read_token, write_token
from services.runtime.audit.entry import Entry
from services.runtime.audit.replicas import Page, Places, page_of
from services.runtime.audit.segments import AuditError
from services.runtime.rpc.call import current_call
from services.runtime.tls.identity import SCHEME, TRUST_DOMAIN

DEFAULT_PAGE = 50
LONGEST_PAGE = 200
_PREFIX = f"{SCHEME}{TRUST_DOMAIN}/"
_PEOPLE = ("holder", "guardian")


class Accesses:
    """Answers from the trail in `folder`, or from all trails in `trails`, of which that is one. Without a folder
    nothing is kept."""

    def __init__(self, folder: str, trails: str, admission: Admission) -> None:
        self._folder = folder
        self._trails = trails
        self._admission = admission
        # One reader at a time: a trail of a year takes seconds of a processor.
        self._reading = asyncio.Semaphore(1)

    async def list(self, request: ListAccessesRequest) -> ListAccessesResponse:
        """Lists a page, of the document's person or, without one, of the caller's own. Raises InvalidArgument,
        FAILED_PRECONDITION (NO_AUDIT_TRAIL) and UNAVAILABLE (AUDIT_UNREADABLE), also where one trail of several cannot
        be read: a list is never short of what a replica did."""
        own = current_call().persons
        person = own[0] if own and not request.HasField("document") else self._admission.person(request.document)
        size = page_size(request.page_size, DEFAULT_PAGE, LONGEST_PAGE)
        question = digest("accesses", person)
        places = read_token(request.page_token, question, dict[int, int]) if request.page_token else None
        if not self._folder:
            text = Text("本网关不写审计日志", "This gateway keeps no audit trail")
            raise ServiceError(Code.FAILED_PRECONDITION, "NO_AUDIT_TRAIL", text)
        async with self._reading:
            try:
                page = await asyncio.to_thread(self._page, self._admission.every_key(person), size, places)
            except (AuditError, OSError):
                raise Unavailable("AUDIT_UNREADABLE", "审计日志无法读取", "The audit trail cannot be read") from None
        token = write_token(question, page.places) if page.places else ""
        return ListAccessesResponse(accesses=[_access(entry) for entry in page.entries], next_page_token=token)

    def _page(self, person: Collection[str], most: int, places: Places | None) -> Page:
        folders = [Path(self._folder)]
        if self._trails:
            folders = [folder for folder in sorted(Path(self._trails).iterdir()) if folder.is_dir()]
        return page_of(folders, person, most, places)


def _access(entry: Entry) -> Access:
    role, _, rest = entry.caller.removeprefix(_PREFIX).partition("/")
    return Access(
        at=to_timestamp(entry.at),
        # A person's key says who it is to whoever has seen it elsewhere.
        caller=role if role in _PEOPLE or not rest else f"{role}/{rest}",
        method=entry.method.rpartition("/")[2],
        purpose=Purpose.Value(f"PURPOSE_{entry.purpose or 'UNSPECIFIED'}"),
        outcome=entry.outcome,
        trace_id=entry.trace,
    )
