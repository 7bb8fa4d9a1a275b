"""The mesh that this gateway belongs to: what whoever answers it must say of itself, and whether all go by one list."""

import logging
from dataclasses import replace

from hutong.common.v1.identity_pb2 import StoreIdentity

from gateway import metrics
from services.common.errors import ServiceError, Unavailable
from services.common.identities import FEED_CHANGED, HOLDERS, ExpectedStore
from services.common.regions import NATION

log = logging.getLogger("hutong.gateway.mesh")

LOOKUP, VERDICT = "lookup", "verdict"


class MeshIdentity:
    """Checks who answers. `secret_fingerprint` is that of this gateway's secret, `directory_version` names its list of
    members, empty where it goes by none."""

    def __init__(self, secret_fingerprint: bytes, directory_version: str = "") -> None:
        self.lookup = ExpectedStore(HOLDERS, "", secret_fingerprint)
        """The identity that lookup must have."""
        self.nation_feed = ""
        """The feed of the nation's store that this gateway hears; empty before it was heard."""
        self.holders_feed = ""
        """The feed of lookup's store of links, as it was first met; empty before."""
        self._holders_lost = False
        self.directory_version = directory_version
        """Names this gateway's list of members; empty where it goes by none."""
        self._refused: dict[str, str] = {}
        self._differing: set[str] = set()

    @property
    def trouble(self) -> str:
        """Returns which services go by another list of members than this gateway; empty for none."""
        if not self._differing:
            return ""
        return f"{', '.join(sorted(self._differing))}: another list of members than this gateway's"

    def hear_nation(self, identity: StoreIdentity) -> None:
        """Notes what the nation's store says of itself; it is the one that is meant."""
        self.nation_feed = identity.feed_id
        self._compare(NATION, identity.directory_version)

    def check_lookup(self, identity: StoreIdentity, answered: str) -> None:
        """Raises Unavailable (WRONG_STORE, OTHER_SECRET, FEED_CHANGED) unless evidence is from this mesh's lookup, with
        the store of links that was met first; `answered` names the service that gave it."""
        try:
            self.check_holders(identity)
            if self._holders_lost:
                raise Unavailable(
                    FEED_CHANGED,
                    "查询服务的关联库退回了较早的状态，可能少了关联",
                    "Lookup's store went back: links that were made since may be missing",
                )
        except ServiceError as error:
            metrics.ANSWERS_REFUSED.add(answered, error.reason)
            if self._refused.get(answered) != error.reason:
                log.error("an answer is of another mesh", extra={"service": answered, "reason": error.reason})
                self._refused[answered] = error.reason
            raise
        self.holders_feed = identity.feed_id
        self._refused.pop(answered, None)
        self._compare(LOOKUP, identity.directory_version)

    def check_holders(self, identity: StoreIdentity) -> None:
        """Raises Unavailable (WRONG_STORE, OTHER_SECRET, FEED_CHANGED) unless this is the store of links that was met
        first; whether it has lost changes is not asked."""
        replace(self.lookup, feed_id=self.holders_feed).check(identity)

    def lose_holders(self) -> None:
        """Notes that lookup's store has lost changes that it had told: from now on no code rests on it, until it has
        them again, or somebody has looked and started this gateway again."""
        if not self._holders_lost:
            log.error("lookup's store went back: no code is computed until the right one is back")
        self._holders_lost = True

    def find_holders(self) -> None:
        """Notes that lookup's store has the last change that it had told."""
        if self._holders_lost:
            log.warning("lookup's store has again what it had told: codes are computed")
        self._holders_lost = False

    def _compare(self, service: str, version: str) -> None:
        if not self.directory_version:
            return
        differs = version != self.directory_version
        metrics.DIRECTORY_DIFFERS.labels(service).set(differs)
        if differs and service not in self._differing:
            self._differing.add(service)
            log.error("it goes by another list of members than this gateway", extra={"service": service})
        elif not differs:
            self._differing.discard(service)
