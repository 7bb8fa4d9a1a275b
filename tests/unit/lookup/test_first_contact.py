"""A lookup counts once the list of members that it goes by was proven: by the nation, and by what is new on it."""

import asyncio
from collections.abc import Sequence

import pytest

from services.common.errors import Unavailable
from services.common.identities import secret_fingerprint
from services.common.mesh_directory import Member, MeshDirectory
from services.lookup import first_contact
from services.lookup.domain.members import ProvenMember
from services.lookup.evidence.identities import SourceIdentities
from services.lookup.first_contact import FirstContact
from tests.testkit.fakes.record_store import DEAD, RecordStore
from tests.testkit.secret import SECRET

NATION, BEIJING, HUNAN = "nation", "110000", "430000"
ADDRESSES = {NATION: "nation:7000", BEIJING: "beijing:7000", HUNAN: "hunan:7000"}


class Kept:
    """A store that keeps the list; it fails `failures` times first."""

    def __init__(self, members: Sequence[ProvenMember] = (), failures: int = 0) -> None:
        self.members = list(members)
        self._failures = failures

    async def proven_members(self) -> Sequence[ProvenMember]:
        """See ProvenList."""
        if self._failures:
            self._failures -= 1
            raise Unavailable("STORE_UNAVAILABLE", "不可用", "Not available")
        return self.members

    async def prove_members(self, members: Sequence[ProvenMember]) -> None:
        """See ProvenList."""
        self.members = list(members)


class Mesh:
    """Stores by their address. The nation goes by the list of everybody."""

    def __init__(self) -> None:
        self.stores = {ADDRESSES[name]: RecordStore(name) for name in ADDRESSES}
        self.stores[ADDRESSES[NATION]].identity.directory_version = directory(ADDRESSES).version

    def store(self, name: str) -> RecordStore:
        """Returns the one that is meant."""
        return self.stores[ADDRESSES[name]]

    def contact(self, addresses: dict[str, str], kept: Kept, feed: str = "") -> FirstContact:
        """Returns that of a lookup with a list; at an address of nobody nobody answers."""
        nobody = RecordStore("nobody")
        nobody.error = DEAD
        sources = {name: self.stores.get(address, nobody) for name, address in addresses.items()}
        identities = SourceIdentities(sources, secret_fingerprint(SECRET.encode()), {NATION: feed} if feed else {})
        return FirstContact(sources, identities, directory(addresses), kept)


def directory(addresses: dict[str, str]) -> MeshDirectory:
    """Returns a list of members."""
    members = {name: Member(address) for name, address in addresses.items()}
    return MeshDirectory(members.pop(NATION, None), members)


async def proven(mesh: Mesh, addresses: dict[str, str] = ADDRESSES) -> Kept:
    """Returns a store in which this list is the one that was proven."""
    kept = Kept()
    mesh.store(NATION).identity.directory_version = directory(addresses).version
    async with asyncio.timeout(30):
        await mesh.contact(addresses, kept).run()
    return kept


async def trouble_of(contact: FirstContact) -> str:
    """Returns what is wrong after it has asked a few times, empty for nothing."""
    task = asyncio.create_task(contact.run())
    await asyncio.wait([task], timeout=0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    try:
        await contact.ping()
    except RuntimeError as error:
        return str(error)
    return ""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_contact, "LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(first_contact, "FIRST_PAUSE_SECONDS", 0.01)


async def test_it_is_not_ready_before_it_has_asked():
    """Nor while its own store cannot say what was proven; then the list counts, and is kept."""
    mesh = Mesh()
    kept = Kept(failures=2)
    contact = mesh.contact(ADDRESSES, kept)
    with pytest.raises(RuntimeError, match="not asked yet"):
        await contact.ping()
    async with asyncio.timeout(30):
        await contact.run()
    await contact.ping()
    assert list(ADDRESSES) == [member.name for member in kept.members]
    assert "feed of nation" == kept.members[0].feed_id


WRONG = {
    "none": {},
    "without a region": {NATION: ADDRESSES[NATION], BEIJING: ADDRESSES[BEIJING]},
    "without the nation": {BEIJING: ADDRESSES[BEIJING], HUNAN: ADDRESSES[HUNAN]},
    "two regions swapped": {**ADDRESSES, BEIJING: ADDRESSES[HUNAN], HUNAN: ADDRESSES[BEIJING]},
    "nation and region swapped": {**ADDRESSES, NATION: ADDRESSES[HUNAN], HUNAN: ADDRESSES[NATION]},
    "a region at an address of nobody": {**ADDRESSES, HUNAN: "nobody:7000"},
    "the nation at an address of nobody": {**ADDRESSES, NATION: "nobody:7000"},
    "a region that nobody serves": {**ADDRESSES, "310000": "nobody:7000"},
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_wrong_list_does_not_count(what: str):
    """Neither where another was proven before, nor, but for what may be a region that is down, where none was; nothing
    is kept of it, and the right one counts at once."""
    mesh = Mesh()
    kept = await proven(mesh)
    before = list(kept.members)
    for version in (directory(ADDRESSES).version, ""):
        # One of a former version does not say by which list it goes.
        if not version and what in ("without a region", "a region that nobody serves"):
            continue
        mesh.store(NATION).identity.directory_version = version
        assert await trouble_of(mesh.contact(WRONG[what], kept)), version
    assert before == kept.members
    assert not await trouble_of(mesh.contact(ADDRESSES, kept))
    if what == "without the nation":
        # Where there never was one, it cannot be missed.
        assert not await trouble_of(mesh.contact(WRONG[what], Kept()))
    elif "nobody" not in what or NATION in what.split():
        mesh.store(NATION).identity.directory_version = directory(ADDRESSES).version
        assert await trouble_of(mesh.contact(WRONG[what], Kept()))


async def test_the_list_that_was_proven_counts_whoever_is_down():
    """A lookup that is started again while the nation is down serves."""
    mesh = Mesh()
    kept = await proven(mesh)
    for name in ADDRESSES:
        mesh.store(name).error = DEAD
    assert not await trouble_of(mesh.contact(ADDRESSES, kept))


async def test_a_first_list_waits_for_the_nation_and_for_no_region():
    """A region that is down keeps no new mesh from starting."""
    mesh = Mesh()
    mesh.store(HUNAN).error = DEAD
    assert not await trouble_of(mesh.contact(ADDRESSES, Kept()))
    mesh.store(NATION).error = DEAD
    assert "nation: not reached" == await trouble_of(mesh.contact(ADDRESSES, Kept()))


async def test_a_region_joins_and_leaves_once_the_nation_knows_and_whoever_else_is_down():
    """Those whose entries stay as they were need not be reached."""
    mesh = Mesh()
    small = {name: ADDRESSES[name] for name in (NATION, BEIJING)}
    kept = await proven(mesh, small)
    mesh.store(BEIJING).error = DEAD
    contact = mesh.contact(ADDRESSES, kept)
    assert "another list of members" in await trouble_of(contact)
    mesh.store(NATION).identity.directory_version = directory(ADDRESSES).version
    assert not await trouble_of(contact)
    mesh.store(NATION).identity.directory_version = directory(small).version
    assert not await trouble_of(mesh.contact(small, kept))


async def test_a_copy_of_the_whole_mesh_does_not_count():
    """Its nation has another history, at another address, and goes by the same list as the lookup that was misled."""
    mesh = Mesh()
    kept = await proven(mesh)
    copied = {name: f"copy-{address}" for name, address in ADDRESSES.items()}
    for name, address in copied.items():
        mesh.stores[address] = RecordStore(name)
        mesh.stores[address].identity.feed_id = f"copy of {name}"
    mesh.stores[copied[NATION]].identity.directory_version = directory(copied).version
    assert "nation: FEED_CHANGED" == await trouble_of(mesh.contact(copied, kept))
