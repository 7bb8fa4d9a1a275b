"""The sender: takes the notices whose time has come, looks at the codes that are about to end, and sends.

A notice is claimed before it is sent, and taken away after the push service has it: no two gateways send the same, and
one that dies in between is made up for after a minute, at the cost of one message that may come twice.
"""

import asyncio
import base64
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import urlsplit

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.health_code_service_pb2 import Freshness
from hutong.gateway.v1.push_service_pb2 import PutPushSubscriptionRequest
from hutong.verdict.v1.verdict_pb2 import Status

from gateway.codes.codes import Shown
from gateway.codes.query import CodeQuery
from gateway.metrics import PUSHES
from gateway.push.delivery import AT_ONCE, SEND_SECONDS, Answer, Message, Sent
from gateway.push.messages import NoticeKind, payload
from gateway.push.store.protocol import PushStore
from gateway.push.store.values import Due, Subscription
from services.common.documents import PersonKeys
from services.common.errors import InvalidArgument, ServiceError, Unavailable
from services.common.instants import DAY, MINUTE, SECOND, Instant, from_timestamp
from services.runtime.audit.auditor import Auditor
from services.runtime.clock import Clock
from services.runtime.metrics import OLDER_KEYS
from services.runtime.rpc.call import Call, Meter
from services.runtime.settings.secret_file import SecretFile
from services.runtime.telemetry.trace import new_trace
from services.runtime.tls.identity import principal

log = logging.getLogger("hutong.push")

LOOK_SECONDS = 1.0
PURGE_SECONDS = 3600.0
IN_ONE_CLAIM = 100
CLAIM_SECONDS = 60.0
"""How long a claimed notice is kept from others: what is not begun well before that is not sent."""
FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 3600.0
MOST_ATTEMPTS = 20
MOVED_AT_ONCE = 1_000
METHOD = "hutong.gateway.v1.PushService/SendPush"
"""The audit trail calls a message that is sent by this name; nobody can ask for it."""
_CALLER = principal("mesh/gateway")
_ALL = b"\xff" * 17


class Codes(Protocol):
    """Knows people's codes."""

    async def show(self, query: CodeQuery, purpose: Purpose.ValueType) -> Shown:
        """See gateway.codes.codes."""


class Sends(Protocol):
    """Sends messages."""

    async def send(self, message: Message) -> Answer:
        """See PushClient."""

    async def close(self) -> None:
        """See PushClient."""


class PushSender:
    """Sends what a store says is due. `lead_seconds` is how long before its end a code is about to end; `days` how long
    a subscription lasts that is not renewed."""

    def __init__(
        self,
        store: PushStore,
        client: Sends,
        codes: Codes,
        secret: SecretFile,
        clock: Clock,
        auditor: Auditor | None,
        *,
        lead_seconds: float,
        days: int,
    ) -> None:
        self._store = store
        self._client = client
        self._codes = codes
        self._file = secret
        self._keys: PersonKeys = secret.keys
        self._clock = clock
        self._auditor = auditor
        self._lead = int(lead_seconds * SECOND)
        self._days = days
        self._topic_key = hmac.digest(secret.current().root, b"hutong push, topics", "sha256")
        # Until when each push service asked to be left alone.
        self._paused: dict[str, Instant] = {}
        # The version that keys are moved to, and the subscription up to which they were.
        self._moving = 0
        self._moved: bytes = b""

    async def run(self) -> None:
        """Sends what is due and moves person keys, every second, and forgets what was not renewed, every hour; until
        cancelled."""
        purged = time.monotonic() - PURGE_SECONDS
        while True:
            try:
                while await self.send_due():
                    pass
                await self.move_keys()
                if time.monotonic() - purged >= PURGE_SECONDS:
                    await self._store.purge(Instant(self._clock() - self._days * DAY))
                    purged = time.monotonic()
                    # Another gateway may have written under a version that it did not know to be old.
                    self._moving = 0
            except ServiceError as error:
                log.warning("messages to devices wait", extra={"reason": error.reason})
            await asyncio.sleep(LOOK_SECONDS)

    async def send_due(self) -> int:
        """Sends what is due now; returns how many notices there were. Raises Unavailable."""
        now = self._clock()
        due = await self._store.claim(now, Instant(now + int(CLAIM_SECONDS * SECOND)), IN_ONE_CLAIM)
        turns = asyncio.Semaphore(AT_ONCE)
        ends = asyncio.get_running_loop().time() + CLAIM_SECONDS - 2 * SEND_SECONDS

        async def one(notice: Due) -> None:
            async with turns:
                # What is not begun in time is somebody's again, with nothing sent.
                if asyncio.get_running_loop().time() < ends:
                    await self._handle(notice)

        async with asyncio.TaskGroup() as group:
            for notice in due:
                group.create_task(self._guarded(one, notice))
        return len(due)

    async def _guarded(self, work: Callable[[Due], Awaitable[None]], due: Due) -> None:
        try:
            await work(due)
        except ServiceError as error:
            # The claim runs out, and it is done again.
            log.warning("a notice waits", extra={"reason": error.reason})

    async def _handle(self, due: Due) -> None:
        now = self._clock()
        origin = _origin(due.subscription)
        if self._paused.get(origin, Instant(0)) > now:
            await self._store.postpone(due, self._paused[origin], due.attempts)
        elif due.expires_at <= now or due.attempts >= MOST_ATTEMPTS:
            PUSHES.add(NoticeKind(due.kind).name, "EXPIRED")
            await self._store.finish(due)
        elif due.kind == NoticeKind.ENDING:
            await self._look(due, now)
        else:
            await self._send(due, None, due.expires_at, now)

    async def _look(self, due: Due, now: Instant) -> None:
        """Looks at a code: the person is told when it is about to end, once for each end."""
        try:
            ends_at = await self._end_of_code(due.subscription)
        except InvalidArgument:
            # Of a version of the secret that was taken away: nobody knows whose it is.
            await self._store.finish(due)
            return
        except ServiceError as error:
            log.info("a code could not be looked at", extra={"reason": error.reason})
            await self._store.postpone(due, Instant(now + MINUTE), due.attempts)
            return
        if ends_at is None or ends_at <= now or ends_at == due.subscription.told_until:
            # Nothing ends, or that was said: news, or the page when it is opened, has it looked at again.
            await self._store.finish(due)
        elif ends_at - self._lead > now:
            await self._store.postpone(due, Instant(ends_at - self._lead), 0)
        else:
            await self._send(due, ends_at, ends_at, now)

    async def _end_of_code(self, subscription: Subscription) -> Instant | None:
        person = self._keys.own(subscription.person_key)
        # What the cache has may be older than the news that it is looked at for.
        query = CodeQuery(person, subscription.region, refresh=True)
        shown = await self._codes.show(query, Purpose.PURPOSE_SHOW_CODE)
        verdict = shown.message().verdict
        if shown.freshness == Freshness.FRESHNESS_STALE or verdict.status == Status.STATUS_UNDETERMINED:
            raise Unavailable("VERDICT_STALE", "暂时无法判定", "The code cannot be told now")
        if verdict.status != Status.STATUS_RECOGNISED or not verdict.HasField("valid_until"):
            return None
        return from_timestamp(verdict.valid_until)

    async def _send(self, due: Due, ends_at: Instant | None, until: Instant, now: Instant) -> None:
        kind, subscription = NoticeKind(due.kind), due.subscription
        await self._note(subscription)
        answer = await self._client.send(
            Message(
                subscription.endpoint,
                subscription.p256dh,
                subscription.auth,
                payload(kind, subscription.language, ends_at),
                max(0, (until - now) // SECOND),
                self._topic(due),
            )
        )
        PUSHES.add(kind.name, answer.sent)
        if answer.sent is Sent.GONE:
            await self._store.drop(subscription.endpoint_digest)
        elif answer.sent is Sent.LATER:
            await self._again(due, answer, now)
        else:
            if answer.sent is Sent.REFUSED:
                log.warning("a push service refused a message", extra={"status": answer.status})
            await self._store.finish(due, ends_at)

    async def _again(self, due: Due, answer: Answer, now: Instant) -> None:
        pause = min(FIRST_PAUSE_SECONDS * 2**due.attempts, LONGEST_PAUSE_SECONDS)
        if answer.wait_seconds:
            # It speaks for all of its devices.
            pause = answer.wait_seconds
            self._paused[_origin(due.subscription)] = Instant(now + int(pause * SECOND))
        await self._store.postpone(due, Instant(now + int(pause * SECOND)), due.attempts + 1)

    async def _note(self, subscription: Subscription) -> None:
        """Writes into the audit trail whom a device is told about. Raises UNAVAILABLE (AUDIT_UNWRITABLE), and nothing
        is sent."""
        if self._auditor is None:
            return
        person = self._keys.own(subscription.person_key)
        deadline = time.monotonic() + SEND_SECONDS
        purpose, meter = Purpose.PURPOSE_SHOW_CODE, Meter(persons=[person])
        call = Call(_CALLER, deadline, new_trace(None), purpose, users=(_CALLER,), proven=True, meter=meter)
        await self._auditor.answered(call, METHOD, PutPushSubscriptionRequest(), "OK", b"")

    def _topic(self, due: Due) -> str:
        named = due.subscription.subscription_id + bytes([due.kind])
        digest = hmac.digest(self._topic_key, named, "sha256")[:24]
        return base64.urlsafe_b64encode(digest).decode()

    async def move_keys(self) -> None:
        """Moves the person keys of some subscriptions to the current version, if any may be of another. Raises
        Unavailable."""
        self._file.current()
        current = self._keys.current
        if self._moving != current:
            self._moving, self._moved = current, b""
        if self._moved != _ALL:
            self._moved = await self._store.move_keys(self._moved, MOVED_AT_ONCE, self._told) or _ALL
            OLDER_KEYS.labels("push").set(self._moved != _ALL)

    def _told(self, key: bytes) -> bytes:
        try:
            return self._keys.told(key)
        except InvalidArgument:
            # Of a version that was taken away before: it ends with its time.
            return key

    async def close(self) -> None:
        """Closes the connections and the store."""
        await self._client.close()
        await self._store.close()


def _origin(subscription: Subscription) -> str:
    return urlsplit(subscription.endpoint).netloc
