"""A holder store that is not there is unavailable, and says nothing else."""

from pathlib import Path

import pytest

from services.common.errors import Unavailable
from services.lookup.domain.outages import OutageNote, SourceState
from services.lookup.settings import Settings
from services.lookup.store.opening import open_store
from services.lookup.store.protocol import HolderStore
from tests.testkit.secret import SECRET
from tests.testkit.servers.holder_store import NOW, key, link, opened


async def test_a_store_that_is_gone_is_unavailable(store: HolderStore) -> None:
    """No driver's error reaches the caller."""
    await store.ping()
    await store.close()
    for attempt in (
        store.people([key(1)]),
        store.people_known_at([(key(1), NOW)]),
        link(store, 1, 2),
        store.changes(0, 1),
        store.last(),
        store.note([OutageNote(NOW, "nation", "one", SourceState.DOWN)]),
        store.notes_at([NOW]),
        store.proven_members(),
        store.prove_members([]),
        store.ping(),
    ):
        with pytest.raises(Unavailable) as failed:
            await attempt
        assert failed.value.reason == "STORE_UNAVAILABLE"


async def test_an_sqlite_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    """The process says so at its start."""
    (tmp_path / "lookup.db").mkdir()
    with pytest.raises(Unavailable) as failed:
        open_store(Settings(mesh_secret=SECRET, store_url=f"sqlite:///{tmp_path / 'lookup.db'}"))
    assert failed.value.reason == "STORE_UNAVAILABLE"


async def test_a_database_that_does_not_answer_is_unavailable() -> None:
    """The service starts all the same, unhealthy, and looks again at every call."""
    async with opened("postgresql://hutong@127.0.0.1:1/none") as store:
        with pytest.raises(Unavailable) as failed:
            await store.ping()
    assert failed.value.reason == "STORE_UNAVAILABLE"
