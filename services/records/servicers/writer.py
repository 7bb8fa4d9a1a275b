"""Commits writes: checks which regions may be written here, names requests across retries, wakes the watchers."""

import time
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from hashlib import blake2b

from google.protobuf.message import Message

from services.common.documents import PersonKeys
from services.common.errors import FailedPrecondition, Violation
from services.common.requests import fields
from services.common.requests.violations import refuse as refuse_all
from services.common.requests.violations import violation
from services.records.domain.revisions import History, laboratory_of
from services.records.metrics import COMMIT_SECONDS
from services.records.store.protocols.unit_of_work import UnitOfWork
from services.records.store.unit_of_work import Decide, Known, Plan, RequestKey, Touch
from services.runtime.clock import Clock
from services.runtime.feeds.commit_signal import CommitSignal
from services.runtime.rpc.call import current_call
from services.runtime.rpc.person_keys import with_keys
from services.runtime.tls.identity import laboratory_ids, store_of

NOT_KEPT = "REGION_NOT_KEPT"


class Writer:
    """Commits to one store on behalf of the write methods. `keeps` are the regions that may be written here."""

    def __init__(
        self, name: str, store: UnitOfWork, signal: CommitSignal, keeps: Collection[str], clock: Clock
    ) -> None:
        self.name = name
        self.clock = clock
        self._store = store
        self._signal = signal
        self._keeps = frozenset(keeps)
        self._seconds = COMMIT_SECONDS.labels(name)

    def region_violations(self, region: str, field: str = "region") -> list[Violation]:
        """Returns what is wrong with writing to a region here. Reasons REGION_REQUIRED, _UNKNOWN, _NOT_KEPT."""
        if region in self._keeps:
            return []
        return fields.region(region, field) or violation(
            field,
            NOT_KEPT,
            "该地区的记录不在本库写入，请写入其本地记录库",
            "Records of this region are not written here but in its own store",
        )

    async def commit(self, touch: Touch, decide: Decide) -> bytes:
        """Commits as UnitOfWork does, what is new in the name of the current caller, and wakes the watchers of this
        process."""
        written_by = current_call().proven_name

        def decide_as_written(known: Known) -> Plan:
            return replace(decide(known), written_by=written_by)

        began = time.perf_counter()
        answer = await self._store.commit(touch, decide_as_written, self.clock)
        self._seconds.observe(time.perf_counter() - began)
        self._signal.committed()
        return answer


def is_others(history: History, caller: str) -> bool:
    """Tells if a record is another laboratory's than the caller; never of a caller that is no laboratory."""
    own = laboratory_ids(caller)
    return bool(own and history) and laboratory_of(history) not in own


def refuse(violations: list[Violation], region: str = "", region_field: str = "region") -> None:
    """Raises for what is wrong: InvalidArgument with the violations; FailedPrecondition (REGION_NOT_KEPT, with the name
    of the store that keeps it) when it is only that `region` is not kept here, for the same request would be right
    there."""
    if not violations:
        return
    if len(violations) == 1 and violations[0].reason == NOT_KEPT and violations[0].field == region_field:
        text = violations[0].text
        raise FailedPrecondition(NOT_KEPT, text.zh, text.en, {"region": region, "store": store_of(region)})
    refuse_all(violations)


def request_key(request: Message, request_id: str, keys: PersonKeys | None = None) -> RequestKey | None:
    """Names a request across retries, within its caller's own requests; None when it has no request_id. With the keys
    of the people it may name, it is the same under every version of them."""
    if not request_id:
        return None
    name = f"{current_call().caller}/{request_id.lower()}"
    if keys is None or keys.one_version:
        return RequestKey(name, _fingerprint(request))
    same = {version: _fingerprint(with_keys(request, partial(keys.under, version))) for version in keys.versions}
    return RequestKey(name, same[keys.current], frozenset(same.values()))


def _fingerprint(request: Message) -> bytes:
    said = request.DESCRIPTOR.full_name.encode() + b"\0" + request.SerializeToString(deterministic=True)
    return blake2b(said, digest_size=16).digest()
