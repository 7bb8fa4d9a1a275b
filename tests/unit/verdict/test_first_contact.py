"""A verdict service counts once it has reached its own mesh's lookup."""

import asyncio

import pytest
from hutong.common.v1.identity_pb2 import StoreIdentity
from hutong.lookup.v1.region_directory_service_pb2 import ListRegionsRequest, ListRegionsResponse

from services.common.errors import Unavailable
from services.common.identities import HOLDERS, ExpectedStore, secret_fingerprint
from services.verdict import first_contact
from services.verdict.first_contact import FirstContact
from tests.testkit.secret import SECRET

OWN = ExpectedStore(HOLDERS, "", secret_fingerprint(SECRET.encode()))
OTHER = ExpectedStore(HOLDERS, "", secret_fingerprint(b"the secret of quite another mesh"))


class Lookup:
    """One that answers each time with the next of these, and with the last from then on."""

    def __init__(self, *answers: StoreIdentity | None) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def ListRegions(self, _: ListRegionsRequest, /) -> ListRegionsResponse:
        """Raises Unavailable in place of None."""
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if answer is None:
            raise Unavailable("SERVICE_UNREACHABLE", "无法连接", "Cannot be reached")
        return ListRegionsResponse(identity=answer)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_contact, "LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(first_contact, "FIRST_PAUSE_SECONDS", 0.01)


async def test_it_is_not_ready_until_lookup_has_answered_once_and_stays_so():
    """Later nothing that lookup does takes it out of service: it is not asked again."""
    lookup = Lookup(None, None, OWN.message())
    contact = FirstContact(lookup, OWN)
    with pytest.raises(RuntimeError, match="not asked yet"):
        await contact.ping()
    async with asyncio.timeout(30):
        await contact.run()
    await contact.ping()
    assert 3 == lookup.asked


async def test_a_lookup_of_another_secret_does_not_count():
    """Under another secret nobody would be found."""
    lookup = Lookup(OTHER.message())
    contact = FirstContact(lookup, OWN)
    task = asyncio.create_task(contact.run())
    async with asyncio.timeout(30):
        while lookup.asked < 3:
            await asyncio.sleep(0.01)
    with pytest.raises(RuntimeError, match="OTHER_SECRET"):
        await contact.ping()
    task.cancel()


async def test_a_lookup_of_a_former_version_counts():
    """It does not say whose it is: an upgrade must not wait for it."""

    class Former:
        """Names no identity."""

        async def ListRegions(self, _: ListRegionsRequest, /) -> ListRegionsResponse:
            """Answers."""
            return ListRegionsResponse()

    contact = FirstContact(Former(), OWN)
    async with asyncio.timeout(30):
        await contact.run()
    await contact.ping()
