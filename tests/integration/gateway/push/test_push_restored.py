"""The store of push subscriptions is backed up while a gateway uses it, lost, and restored. A file: what backs up a
PostgreSQL knows nothing of what is in it, and is rehearsed with other stores."""

from pathlib import Path

import pytest

from gateway.push.store.opening import open_store
from gateway.push.store.values import Arrivals, Subscription
from services.common.errors import ServiceError
from services.common.instants import Instant
from services.runtime.settings.environment import SettingsError
from tests.testkit.servers.backups import backed_up

MESH = b"mesh 001"
RESULT, ENDING = KINDS = (1, 2)
NOW, LATER, MUCH_LATER = Instant(1_000), Instant(2_000), Instant(9_000)


def subscription(number: int) -> Subscription:
    """Returns the subscription of the device of a person."""
    name = number.to_bytes(16)
    endpoint = f"https://push/{number}"
    return Subscription(name, name, name, endpoint, b"k" * 65, b"a" * 16, "110000", 1, NOW, NOW, Instant(0))


async def test_what_was_subscribed_before_the_backup_is_there_again(tmp_path: Path) -> None:
    """With the place in the feed from which news is looked for and what was to be told; news since then is told once
    more, nothing is told that is not in the feed; another mesh's gateways are refused."""
    async with backed_up("sqlite", tmp_path, "push") as lost:
        store = open_store(lost.url, MESH, migrates=True)
        for number in (1, 2):
            await store.put(subscription(number), [subscription(number).person_key], ENDING)
        people = frozenset({subscription(1).person_key})
        news = Arrivals(people, people)
        assert await store.take("nation", "", "f/1/", news, KINDS, LATER, MUCH_LATER)
        await lost.back_up()
        url = await lost.restore()
        await store.close()
    with pytest.raises((SettingsError, ServiceError)):
        await open_store(url, b"mesh 002", migrates=False).cursor("nation")
    restored = open_store(url, MESH, migrates=False)
    assert await restored.cursor("nation") == "f/1/"
    due = await restored.claim(LATER, MUCH_LATER, 100)
    assert sorted((one.subscription.endpoint, one.kind) for one in due) == [
        *(("https://push/1", RESULT), ("https://push/1", ENDING)),
        ("https://push/2", ENDING),
    ]
    assert await restored.take("nation", "f/1/", "f/2/", news, KINDS, LATER, MUCH_LATER)
    await restored.close()
