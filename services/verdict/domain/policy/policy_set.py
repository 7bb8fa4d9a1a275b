"""All policies in use, and which of them is in force where and when: the region's with the greatest start not after."""

from bisect import bisect_right
from collections.abc import Iterable
from hashlib import sha256

from services.common.instants import Instant
from services.verdict.domain.policy.compiled import CompiledNotice, CompiledPolicy
from services.verdict.domain.policy.reach import reach

DIGEST_BYTES = 8


class NoPolicyInForce(Exception):
    """No policy of the region is in force at the instant asked."""

    def __init__(self, region: str, at: Instant) -> None:
        super().__init__(f"no policy of {region} is in force")
        self.region = region
        self.at = at


class OverlappingPolicies(Exception):
    """Two policies of one region start at the same instant; which of them would be in force?"""

    def __init__(self, one: str, region: str) -> None:
        super().__init__(f"two policies of {region} have the id {one}: they start at the same instant")
        self.policy_id = one
        self.region = region


class PolicyInForce:
    """A policy in force, the notice beside it, and when the next version of either starts. `asked_only_in` holds the
    only scenes in which the notice still lets anything be asked; None where it ends nothing."""

    __slots__ = ("_later_look_back_to", "_reach", "asked_only_in", "binds", "next_start", "notice", "policy")

    def __init__(
        self,
        policy: CompiledPolicy,
        notice: CompiledNotice | None,
        following: "PolicyInForce | None",
        next_start: Instant | None,
    ) -> None:
        """`following` is what comes into force at `next_start`, if anything does."""
        self.policy = policy
        self.notice = notice
        self.next_start = next_start
        self._reach = reach(policy)
        self._later_look_back_to = (
            None if following is None or next_start is None else following.looks_back_to(next_start)
        )
        self.binds = notice is not None and notice.binds
        self.asked_only_in = None if notice is None else notice.asked_only_in

    def looks_back_to(self, at: Instant) -> Instant:
        """Returns the instant from which on tests can matter to a verdict at `at`, also to how long it will hold: what
        is recognised may go on being so by a later version."""
        since = Instant(at - self._reach)
        later = self._later_look_back_to
        return since if later is None else min(since, later)

    def asks(self, scene: int) -> bool:
        """Says whether anything is asked in the scene, 0 being the health code itself."""
        if self.asked_only_in is not None and scene not in self.asked_only_in:
            return False
        return bool(self.policy.rules(scene).clauses)


class _Timeline:
    """The spans of time during which one pair of policy and notice is in force in one region."""

    __slots__ = ("spans", "starts")

    def __init__(self, policies: list[CompiledPolicy], notices: list[CompiledNotice]) -> None:
        turns = {version.starts for version in policies} | {
            notice.starts for notice in notices if notice.starts > policies[0].starts
        }
        self.starts = sorted(turns)
        spans: list[PolicyInForce] = []
        following: PolicyInForce | None = None
        next_start: Instant | None = None
        for start in reversed(self.starts):
            policy = next(version for version in reversed(policies) if version.starts <= start)
            notice = next((version for version in reversed(notices) if version.starts <= start), None)
            following = PolicyInForce(policy, notice, following, next_start)
            next_start = start
            spans.append(following)
        self.spans = spans[::-1]


class PolicySet:
    """Holds every policy and notice, immutable; `digest` is of all of them, `digests` are of each region's and the
    notices: 8 bytes that change when one of them does. Raises OverlappingPolicies when two versions of one region start
    together."""

    def __init__(self, policies: Iterable[CompiledPolicy], notices: Iterable[CompiledNotice] = ()) -> None:
        self.notices = tuple(sorted(notices, key=lambda notice: notice.starts))
        self._by_region: dict[str, list[CompiledPolicy]] = {}
        self._by_id: dict[str, CompiledPolicy | CompiledNotice] = {}
        for policy in sorted(policies, key=lambda policy: (policy.ref.region, policy.starts)):
            self._by_region.setdefault(policy.ref.region, []).append(policy)
        everything: list[CompiledPolicy | CompiledNotice] = [*self.all_policies(), *self.notices]
        for version in everything:
            if version.ref.policy_id in self._by_id:
                raise OverlappingPolicies(version.ref.policy_id, version.ref.region)
            self._by_id[version.ref.policy_id] = version
        self._timelines = {
            region: _Timeline(versions, list(self.notices)) for region, versions in self._by_region.items()
        }
        self.digests = {region: _digest([*self.versions(region), *self.notices]) for region in self._by_region}
        self.digest = _digest(everything)

    def regions(self) -> tuple[str, ...]:
        """Returns the regions that have a policy, ascending."""
        return tuple(self._by_region)

    def versions(self, region: str) -> tuple[CompiledPolicy, ...]:
        """Returns a region's policies, by start."""
        return tuple(self._by_region.get(region, ()))

    def all_policies(self) -> tuple[CompiledPolicy, ...]:
        """Returns every region's policies, by region and start."""
        return tuple(policy for versions in self._by_region.values() for policy in versions)

    def by_id(self, policy_id: str) -> CompiledPolicy | CompiledNotice | None:
        """Returns the policy or notice with this id."""
        return self._by_id.get(policy_id)

    def spans(self, region: str) -> tuple[tuple[Instant, PolicyInForce], ...]:
        """Returns when each pair of policy and notice comes into force in the region, in order."""
        timeline = self._timelines.get(region)
        return () if timeline is None else tuple(zip(timeline.starts, timeline.spans, strict=True))

    def in_force(self, region: str, at: Instant) -> PolicyInForce:
        """Returns what is in force in the region. Raises NoPolicyInForce."""
        timeline = self._timelines.get(region)
        if timeline is None or at < timeline.starts[0]:
            raise NoPolicyInForce(region, at)
        return timeline.spans[bisect_right(timeline.starts, at) - 1]


def _digest(versions: Iterable[CompiledPolicy | CompiledNotice]) -> bytes:
    digest = sha256()
    for version in versions:
        digest.update(version.ref.policy_id.encode() + b"\0" + version.ref.content_hash)
    return digest.digest()[:DIGEST_BYTES]
