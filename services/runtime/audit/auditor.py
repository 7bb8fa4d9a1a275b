"""Writes down who asked what about whom, and waits for the disk before anything is answered."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any

from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Document, Purpose, Subject

from services.common.documents import PersonKeys
from services.common.errors import InvalidArgument
from services.runtime.audit.entry import Entry, to_line
from services.runtime.audit.log import AuditLog
from services.runtime.clock import Clock
from services.runtime.rpc.call import Call

log = logging.getLogger("hutong.audit")

CHECKPOINT_SECONDS = 10.0
_CHANGES = ("Put", "Suspend", "Lift", "Settle", "Reconcile")
"""What methods that change something without a purpose begin with."""
_PURPOSES = {number: name.removeprefix("PURPOSE_") for name, number in Purpose.items()}


class Auditor:
    """Keeps a log of the calls that one process answers. A call about a person is one whose request states a purpose;
    one that is denied is written down whatever it was about."""

    def __init__(self, kept: AuditLog, keys: PersonKeys, clock: Clock) -> None:
        self._log = kept
        self._keys = keys
        self._clock = clock
        self._persons: dict[type[Message], Callable[[Any], Iterator[str]]] = {}
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
        return to_line(
            Entry(
                at=self._clock(),
                caller=call.caller,
                method=method,
                purpose=_PURPOSES.get(call.purpose, ""),
                outcome=outcome,
                persons=tuple(self._about(request)),
                answer=digest,
                trace=call.trace.hex_id,
                users=() if call.users == (call.caller,) else call.users,
            )
        )

    def _about(self, request: Message) -> Iterator[str]:
        find = self._persons.get(type(request))
        if find is None:
            find = self._persons[type(request)] = _persons_in(request.DESCRIPTOR, self._key)
        return find(request)

    def _key(self, named: Message) -> str:
        try:
            if isinstance(named, Document):
                return self._keys.of(named).hex()
            return self._keys.of_subject(named).hex() if isinstance(named, Subject) else ""
        except InvalidArgument:
            # Nobody: the call is refused for it, and the number, wrong or not, is written nowhere.
            return ""

    async def close(self) -> None:
        """Writes what waits, leaves a checkpoint, and closes the log."""
        await self._log.close()

    async def run(self) -> None:
        """Signs a checkpoint now and then, while there are new lines, until cancelled."""
        size = -1
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            if self._log.size != size:
                size = self._log.size
                try:
                    await self._log.checkpoint()
                except OSError as error:
                    log.warning("no checkpoint: %s", error.strerror)


def _persons_in(kind: Any, key: Callable[[Message], str]) -> Callable[[Any], Iterator[str]]:
    """Returns a function that yields the key of every person that a message of this kind names."""
    if kind in (Document.DESCRIPTOR, Subject.DESCRIPTOR):
        return lambda message: iter([found] if (found := key(message)) else [])
    below = [
        (field.name, field.is_repeated, _persons_in(field.message_type, key))
        for field in kind.fields
        if field.message_type is not None
        and field.message_type.full_name.startswith("hutong.")
        # No contract nests a message in itself.
        and field.message_type is not kind
    ]

    def persons(message: Any) -> Iterator[str]:
        for name, repeated, find in below:
            if repeated:
                for one in getattr(message, name):
                    yield from find(one)
            elif message.HasField(name):
                yield from find(getattr(message, name))

    return persons
