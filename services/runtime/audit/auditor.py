"""Writes down who asked what about whom, and waits for the disk before anything is answered."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import blake2b
from typing import Protocol

from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Purpose

from services.common.documents import PersonKeys
from services.runtime.access.persons import NamedPersons
from services.runtime.audit.entry import Entry, to_line
from services.runtime.audit.log import AuditLog
from services.runtime.audit.segments import AuditError
from services.runtime.clock import Clock
from services.runtime.rpc.call import Call

log = logging.getLogger("hutong.audit")

CHECKPOINT_SECONDS = 10.0
_CHANGES = ("Put", "Suspend", "Lift", "Settle", "Reconcile")
"""What methods that change something without a purpose begin with."""
_PURPOSES = {number: name.removeprefix("PURPOSE_") for name, number in Purpose.items()}


class Cosigns(Protocol):
    """Has a checkpoint co-signed."""

    async def cosign(self, note: str) -> None:
        """Has every witness sign a checkpoint."""


Opening = Callable[[], AbstractAsyncContextManager[Cosigns]]
"""Reaches the witnesses of a trail for as long as they are needed."""


class Auditor:
    """Keeps a log of the calls that one process answers. A call about a person is one whose request states a purpose;
    one that is denied is written down whatever it was about."""

    def __init__(self, kept: AuditLog, keys: PersonKeys, clock: Clock, cosigning: Opening | None = None) -> None:
        self._log = kept
        self._keys = keys
        self._persons = NamedPersons(keys)
        self._clock = clock
        self._cosigning = cosigning or _by_nobody
        self._concerned: dict[str, bool] = {}

    async def answered(self, call: Call, method: str, request: Message, outcome: str, answer: bytes) -> None:
        """Returns when an answer, or an error's reason, may be given: it is written down. Raises UNAVAILABLE
        (AUDIT_UNWRITABLE)."""
        if not self._concerns(method, request):
            return
        digest = blake2b(answer, digest_size=16).hexdigest() if answer else ""
        await self._log.append(self._line(call, method, request, outcome, digest))

    async def denied(self, call: Call, method: str, request: Message, reason: str) -> None:
        """Returns when a denial is written down. Raises UNAVAILABLE (AUDIT_UNWRITABLE)."""
        await self._log.append(self._line(call, method, request, reason, ""))

    def _concerns(self, method: str, request: Message) -> bool:
        concerned = self._concerned.get(method)
        if concerned is None:
            changes = method.rpartition("/")[2].startswith(_CHANGES)
            concerned = self._concerned[method] = changes or "purpose" in request.DESCRIPTOR.fields_by_name
        return concerned

    def _line(self, call: Call, method: str, request: Message, outcome: str, digest: str) -> bytes:
        # Lines are read for longer than this process lives, and its version is known.
        told = self._keys.told
        return to_line(
            Entry(
                at=self._clock(),
                caller=call.caller,
                method=method,
                purpose=_PURPOSES.get(call.purpose, ""),
                outcome=outcome,
                persons=tuple([told(person).hex() for person in self._named(call, request)]),
                answer=digest,
                trace=call.trace.hex_id,
                users=() if call.users == (call.caller,) else call.users,
            )
        )

    def _named(self, call: Call, request: Message) -> Iterable[bytes]:
        """Returns the keys of those whom a request names: as they were made when it was admitted, or made now."""
        return (call.meter.persons if call.meter is not None else ()) or self._persons.of(request)

    async def close(self) -> None:
        """Writes what waits, leaves a checkpoint, and closes the log."""
        await self._log.close()

    async def run(self) -> None:
        """Signs a checkpoint now and then, while there are new lines, and has its witnesses sign it, until
        cancelled."""
        async with self._cosigning() as cosigning:
            size = -1
            while True:
                await asyncio.sleep(CHECKPOINT_SECONDS)
                if self._log.size != size:
                    size = self._log.size
                    try:
                        await cosigning.cosign(await self._log.checkpoint())
                    except (OSError, AuditError, ValueError) as error:
                        log.warning("no checkpoint", extra={"error": type(error).__name__})


class _NoWitness:
    async def cosign(self, note: str) -> None:
        """Signs nothing."""


@asynccontextmanager
async def _by_nobody() -> AsyncIterator[Cosigns]:
    yield _NoWitness()
