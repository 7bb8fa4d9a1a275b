"""Verdicts that came, and are not shown: of another mesh, of a clock that is off, by policies that went back."""

import logging
from collections.abc import Mapping

from hutong.lookup.v1.evidence_service_pb2 import SourceStatus
from hutong.verdict.v1.verdict_pb2 import Verdict

from gateway import metrics
from gateway.mesh_identity import VERDICT, MeshIdentity
from services.common.errors import Unavailable
from services.common.identities import FEED_CHANGED
from services.common.instants import SECOND, Instant, from_timestamp
from services.common.regions import NATION

log = logging.getLogger("hutong.codes")

CLOCK_OFF = "CLOCK_OFF"
POLICIES_WENT_BACK = "POLICIES_WENT_BACK"

MOST_SKEW = 10 * SECOND
"""How far the instant of a verdict may lie outside the time between question and answer, in microseconds: a window
whose end is off by more is another answer."""


class VerdictChecks:
    """Looks at verdicts before they are shown. A policy in force is never taken back: once one was seen, a verdict by
    an earlier one, at an instant when the later was in force, comes from a replica with an old set."""

    def __init__(self, mesh: MeshIdentity) -> None:
        self._mesh = mesh
        self._newest: dict[str, Instant] = {}
        self._told: set[str] = set()

    def check(self, verdict: Verdict, feeds: Mapping[str, str]) -> None:
        """Raises Unavailable (FEED_CHANGED) where a verdict rests on another nation's store than this gateway hears;
        `feeds` are those of the sources, by name."""
        nation = feeds.get(NATION, "")
        if nation and self._mesh.nation_feed and nation != self._mesh.nation_feed and _answered(verdict, NATION):
            raise self._refused(
                FEED_CHANGED,
                "判定所依据的国家库不是网关所连的国家库",
                "The verdict rests on another nation's store than the one that the gateway hears",
            )
        self._told.discard(FEED_CHANGED)

    def check_live(self, verdict: Verdict, asked_at: Instant, answered_at: Instant) -> None:
        """Raises Unavailable (CLOCK_OFF, POLICIES_WENT_BACK) for a verdict on the present, asked for and given at these
        instants of this process's clock."""
        if verdict.HasField("computed_at"):
            known_at = from_timestamp(verdict.computed_at)
            if not asked_at - MOST_SKEW <= known_at <= answered_at + MOST_SKEW:
                raise self._refused(
                    CLOCK_OFF,
                    "判定的时刻与网关的时钟相差过大",
                    "The instant of the verdict is too far from the gateway's clock",
                )
            self._told.discard(CLOCK_OFF)
        if not verdict.HasField("policy"):
            return
        effective_from = from_timestamp(verdict.policy.effective_from)
        newest = self._newest.setdefault(verdict.region, effective_from)
        if effective_from >= newest:
            self._newest[verdict.region] = effective_from
            self._told.discard(POLICIES_WENT_BACK)
        elif from_timestamp(verdict.at) >= newest:
            raise self._refused(
                POLICIES_WENT_BACK,
                "判定依据的政策早于已经生效的政策",
                "The verdict is by an earlier policy than one that was already in force",
            )

    def _refused(self, reason: str, zh: str, en: str) -> Unavailable:
        metrics.ANSWERS_REFUSED.add(VERDICT, reason)
        if reason not in self._told:
            log.error("a verdict is not shown", extra={"reason": reason})
            self._told.add(reason)
        return Unavailable(reason, zh, en)


def _answered(verdict: Verdict, source: str) -> bool:
    return any(one.source == source and one.status == SourceStatus.SOURCE_STATUS_OK for one in verdict.coverage)
