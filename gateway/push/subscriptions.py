"""Subscriptions: what people ask about being told, over either transport."""

from secrets import token_bytes

from hutong.gateway.v1.push_service_pb2 import (
    DeletePushSubscriptionRequest,
    DeletePushSubscriptionResponse,
    GetPushKeyResponse,
    PushLanguage,
    PutPushSubscriptionRequest,
    PutPushSubscriptionResponse,
)

from gateway.application.admission import Admission
from gateway.push.endpoints import AUTH_BYTES, LONGEST_ENDPOINT, P256DH_BYTES, Endpoints, endpoint_digest, usable_keys
from gateway.push.messages import NoticeKind
from gateway.push.store.protocol import PushStore
from gateway.push.store.values import Subscription
from services.common.documents import PersonKeys
from services.common.errors import FailedPrecondition
from services.common.instants import Instant
from services.common.requests import fields
from services.common.requests.violations import Violations, violation
from services.runtime.clock import Clock

_LANGUAGES = frozenset(PushLanguage.values())


class PushSubscriptions:
    """Answers both transports. `public_key` is the key that browsers subscribe with; without a store nobody is told of
    anything. Every method raises ServiceError."""

    def __init__(
        self,
        admission: Admission,
        keys: PersonKeys,
        clock: Clock,
        store: PushStore | None = None,
        endpoints: Endpoints | None = None,
        public_key: bytes = b"",
    ) -> None:
        self._admission = admission
        self._keys = keys
        self._clock = clock
        self._store = store
        self._endpoints = endpoints or Endpoints((), ())
        self._public_key = public_key

    def key(self) -> GetPushKeyResponse:
        """Returns the key; it is empty where no messages are sent."""
        return GetPushKeyResponse(application_server_key=self._public_key)

    async def put(self, request: PutPushSubscriptionRequest) -> PutPushSubscriptionResponse:
        """Keeps a subscription."""
        store = self._required()
        asked = request.subscription
        violations = Violations()
        person = violations.read(b"", lambda: self._admission.person(request.document))
        if not self._endpoints.allows(asked.endpoint):
            violations.add(
                violation(
                    "subscription.endpoint",
                    "PUSH_ENDPOINT",
                    "不是本网关可发送的推送服务的 https 地址",
                    f"An https URL, at most {LONGEST_ENDPOINT} characters, of a push service that this gateway calls",
                )
            )
        if not usable_keys(asked.p256dh, asked.auth):
            violations.add(
                violation(
                    "subscription",
                    "PUSH_KEYS",
                    f"p256dh 应为 P-256 上的点（{P256DH_BYTES} 字节），auth 应为 {AUTH_BYTES} 字节",
                    f"p256dh is a point on P-256 ({P256DH_BYTES} bytes), auth has {AUTH_BYTES} bytes",
                )
            )
        violations.add(fields.region(request.region))
        if request.language not in _LANGUAGES:
            violations.add(
                violation("language", "LANGUAGE_UNKNOWN", "语言应为 CHINESE 或 ENGLISH", "It is CHINESE or ENGLISH")
            )
        violations.refuse()
        now = self._clock()
        kept = Subscription(
            token_bytes(16),
            endpoint_digest(asked.endpoint),
            self._keys.told(person),
            asked.endpoint,
            asked.p256dh,
            asked.auth,
            request.region,
            int(request.language),
            now,
            now,
            Instant(0),
        )
        created = await store.put(kept, self._keys.under_every_version(person), NoticeKind.ENDING)
        return PutPushSubscriptionResponse(created=created)

    async def delete(self, request: DeletePushSubscriptionRequest) -> DeletePushSubscriptionResponse:
        """Forgets a subscription."""
        store = self._required()
        person = self._admission.person(request.document)
        digest = endpoint_digest(request.endpoint)
        deleted = await store.delete(digest, self._keys.under_every_version(person))
        return DeletePushSubscriptionResponse(deleted=deleted)

    def _required(self) -> PushStore:
        if self._store is None:
            raise FailedPrecondition("PUSH_OFF", "本网关不发送提醒", "This gateway sends no messages")
        return self._store
