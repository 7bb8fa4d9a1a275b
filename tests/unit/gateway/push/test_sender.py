"""The sender goes by what push services answer, and by a clock that is set by hand."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.health_code_service_pb2 import Freshness, ShowHealthCodeResponse
from hutong.verdict.v1.verdict_pb2 import Status, Verdict

from gateway.codes.cache.entry import Entry
from gateway.codes.codes import Shown
from gateway.codes.query import CodeQuery
from gateway.metrics import Outcome
from gateway.push.delivery import Answer, Message, Sent
from gateway.push.messages import NoticeKind
from gateway.push.sender import FIRST_PAUSE_SECONDS, MOST_ATTEMPTS, PushSender
from gateway.push.store.opening import open_store
from gateway.push.store.protocol import PushStore
from gateway.push.store.values import Arrivals, Subscription
from services.common.errors import ServiceError, Unavailable
from services.common.instants import DAY, HOUR, Instant, to_timestamp
from services.runtime.settings.secret_file import SecretFile
from tests.testkit.clocks import ManualClock
from tests.testkit.fakes.mesh import PERSON
from tests.testkit.secret import SECRET

LEAD_SECONDS = 7200.0
KINDS = (int(NoticeKind.RESULT), int(NoticeKind.ENDING))
DOWN = Unavailable("SERVICE_UNREACHABLE", "无法连接", "Cannot be reached")


class Codes:
    """Knows one code, which ends at an instant; `failing` is raised instead."""

    def __init__(self) -> None:
        self.ends_at: Instant | None = None
        self.failing: ServiceError | None = None
        self.freshness = Freshness.FRESHNESS_COMPUTED

    async def show(self, query: CodeQuery, purpose: Purpose.ValueType) -> Shown:
        """See gateway.push.sender."""
        if self.failing is not None:
            raise self.failing
        return shown(self.ends_at, self.freshness)


class Client:
    """Answers as it is told, and keeps what was sent."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.sent: list[Message] = []

    async def send(self, message: Message) -> Answer:
        """See PushClient."""
        self.sent.append(message)
        return self.answers.pop(0) if self.answers else Answer(Sent.SENT, 201)

    async def close(self) -> None:
        """See PushClient."""


class Sending(NamedTuple):
    """A sender and all that it works with."""

    sender: PushSender
    store: PushStore
    client: Client
    codes: Codes
    clock: ManualClock

    async def subscribe(self, number: int = 1, host: str = "push.example.cn") -> None:
        """Adds a device of the person, and looks at the code once."""
        name, now = number.to_bytes(16), self.clock()
        endpoint = f"https://{host}/{number}"
        made = Subscription(name, name, PERSON, endpoint, b"k" * 65, b"a" * 16, "110000", 1, now, now, Instant(0))
        await self.store.put(made, [PERSON], NoticeKind.ENDING)
        await self.sender.send_due()

    async def arrive(self) -> None:
        """A result arrives."""
        now, keys = self.clock(), frozenset((PERSON,))
        before = await self.store.cursor("nation")
        await self.store.take("nation", before, before + "1", Arrivals(keys, keys), KINDS, now, Instant(now + DAY))

    async def messages(self, seconds: float = 0.0) -> int:
        """Lets time pass, and tells how many messages were sent then."""
        self.clock.forward(seconds)
        before = len(self.client.sent)
        await self.sender.send_due()
        return len(self.client.sent) - before


def shown(ends_at: Instant | None, freshness: Freshness.ValueType) -> Shown:
    """Returns a code that is recognised until an instant, or is not."""
    verdict = Verdict(status=Status.STATUS_NOT_RECOGNISED)
    if ends_at is not None:
        verdict = Verdict(status=Status.STATUS_RECOGNISED, valid_until=to_timestamp(ends_at))
    message = ShowHealthCodeResponse(verdict=verdict).SerializeToString()
    entry = Entry(b"", message, "110000", 1, verdict.status, 0, 0, 0, (), 0, b"")
    return Shown(entry, freshness, Outcome.REFRESH)


@pytest.fixture
async def sending(tmp_path: Path) -> AsyncIterator[Sending]:
    """A sender over an empty store."""
    store, clock = open_store(f"sqlite:///{tmp_path / 'push.db'}", b"mesh 001", migrates=True), ManualClock()
    client, codes = Client(), Codes()
    sender = PushSender(store, client, codes, SecretFile(SECRET), clock, None, lead_seconds=LEAD_SECONDS, days=180)
    yield Sending(sender, store, client, codes, clock)
    await sender.close()


async def test_a_push_service_that_is_busy_is_left_alone_as_long_as_it_asks(sending: Sending) -> None:
    """All of its devices wait, and those of others do not."""
    await sending.subscribe(1)
    sending.client.answers.append(Answer(Sent.LATER, 429, 600.0))
    await sending.arrive()
    assert 1 == await sending.messages()
    await sending.subscribe(2)
    await sending.subscribe(3, "other.example.cn")
    await sending.arrive()
    assert 1 == await sending.messages()
    assert 0 == await sending.messages(590)
    assert 2 == await sending.messages(20)


async def test_a_push_service_that_fails_is_tried_again_more_and_more_seldom(sending: Sending) -> None:
    """Until the message is too old, or was tried often enough."""
    await sending.subscribe()
    sending.client.answers += [Answer(Sent.LATER, 503)] * 3
    await sending.arrive()
    assert 1 == await sending.messages()
    assert 0 == await sending.messages(FIRST_PAUSE_SECONDS - 1)
    assert 1 == await sending.messages(2)
    assert 0 == await sending.messages(FIRST_PAUSE_SECONDS)
    assert 1 == await sending.messages(FIRST_PAUSE_SECONDS)
    assert 1 == await sending.messages(4 * FIRST_PAUSE_SECONDS)
    sending.client.answers += [Answer(Sent.LATER)] * (MOST_ATTEMPTS + 9)
    await sending.arrive()
    attempts = [await sending.messages(3_700) for _ in range(40)]
    assert 15 <= sum(attempts) <= MOST_ATTEMPTS
    assert 0 == sum(attempts[-10:])


async def test_a_device_that_is_gone_and_a_message_that_is_refused_are_not_tried_again(sending: Sending) -> None:
    """The first is forgotten, the second device is told the next time."""
    await sending.subscribe(1)
    await sending.subscribe(2)
    sending.client.answers += [Answer(Sent.GONE, 410), Answer(Sent.REFUSED, 413)]
    await sending.arrive()
    assert 2 == await sending.messages()
    await sending.arrive()
    assert 1 == await sending.messages(3_600)


async def test_a_code_is_looked_at_when_it_is_about_to_end_and_not_before(sending: Sending) -> None:
    """Once for each end; with another result it ends later, and nothing is said; where it cannot be looked at, soon."""
    sending.codes.ends_at = Instant(sending.clock.now + 24 * HOUR)
    await sending.subscribe()
    assert [] == sending.client.sent
    assert 0 == await sending.messages(21 * 3600)
    sending.codes.failing = DOWN
    assert 0 == await sending.messages(1.5 * 3600)
    sending.codes.failing, sending.codes.freshness = None, Freshness.FRESHNESS_STALE
    assert 0 == await sending.messages(61)
    sending.codes.freshness = Freshness.FRESHNESS_COMPUTED
    assert 1 == await sending.messages(61)
    assert sending.client.sent[-1].ttl_seconds < 1.5 * 3600
    await sending.subscribe()
    assert 1 == len(sending.client.sent)
    sending.codes.ends_at = Instant(sending.clock.now + 48 * HOUR)
    await sending.arrive()
    assert 1 == await sending.messages()
    sending.codes.ends_at = Instant(sending.codes.ends_at + 24 * HOUR)
    assert 0 == await sending.messages(47 * 3600)
    assert 1 == await sending.messages(24 * 3600)


async def test_a_code_that_is_not_recognised_ends_nothing(sending: Sending) -> None:
    """Until there is news."""
    await sending.subscribe()
    sending.codes.ends_at = Instant(sending.clock.now + HOUR)
    assert 0 == await sending.messages(60)
    await sending.arrive()
    assert 2 == await sending.messages()
