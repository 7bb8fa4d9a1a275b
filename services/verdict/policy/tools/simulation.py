"""Judges people's evidence, as it was known at instants of the past, by the policies in use and by a draft.

A draft is laid over the policies in use: a version of the same id takes its place, another is added; the first
version of each region that the draft has is taken to have been in force from the first instant on, though it starts
later. Only regions and scenes in which the two can differ are judged. Who is told apart: the region that asks, the
scene, where the test came from, and the ground that recognises it in one of the two.

A repeat test is owed each time that a person who is recognised begins to be refused: at the first instant of
every unbroken run of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from services.common.instants import Instant, format_rfc3339
from services.verdict.domain.evidence.values import Check, Evidence, Laboratory, Record, Scene, Scope
from services.verdict.domain.judgement.judge import judge
from services.verdict.domain.policy.compiled import CompiledNotice, CompiledPolicy, compile_notice, compile_policy
from services.verdict.domain.policy.policy_set import NoPolicyInForce, PolicyInForce, PolicySet
from services.verdict.domain.verdict import Status, Verdict

_FINE = (Status.RECOGNISED, Status.NOT_REQUIRED)


class Group(NamedTuple):
    """People whom a change befalls alike. `ground` recognises the test in the one of the two sets that does."""

    region: str
    scene: int
    origin: str
    ground: str


class Figures(NamedTuple):
    """People who lose or gain recognition at some instant, and the repeat tests that are owed or saved by it."""

    losing: int = 0
    gaining: int = 0
    tests_owed: int = 0
    tests_saved: int = 0

    def plus(self, other: "Figures") -> "Figures":
        """Returns the sum of both."""
        return Figures(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Comparison(NamedTuple):
    """The two sets, and the regions with the scenes in which they can differ."""

    used: PolicySet
    draft: PolicySet
    places: tuple[tuple[str, int], ...]


def lay_over(
    used: PolicySet, draft: Iterable[CompiledPolicy | CompiledNotice], instants: Sequence[Instant]
) -> Comparison:
    """Returns the policies in use beside those with the draft over them. Raises OverlappingPolicies."""
    first = instants[0]
    policies = {policy.ref.policy_id: policy for policy in used.all_policies()}
    notices = {notice.ref.policy_id: notice for notice in used.notices}
    begun: set[str] = set()
    for version in sorted(draft, key=lambda version: version.starts):
        region = version.ref.region
        if region not in begun:
            begun.add(region)
            if version.starts > first:
                version = _from(version, first)
            if isinstance(version, CompiledPolicy):
                policies = {
                    key: other
                    for key, other in policies.items()
                    if other.ref.region != region or other.starts < version.starts
                }
        if isinstance(version, CompiledPolicy):
            policies[version.ref.policy_id] = version
        else:
            notices[version.ref.policy_id] = version
    over = PolicySet(policies.values(), notices.values())
    return Comparison(used, over, tuple(_places(used, over, instants)))


def _from(version: CompiledPolicy | CompiledNotice, start: Instant) -> CompiledPolicy | CompiledNotice:
    if isinstance(version, CompiledPolicy):
        return compile_policy(msgspec.structs.replace(version.source, effective_from=format_rfc3339(start)))
    return compile_notice(msgspec.structs.replace(version.source, effective_from=format_rfc3339(start)))


def _places(used: PolicySet, draft: PolicySet, instants: Sequence[Instant]) -> Iterable[tuple[str, int]]:
    """Yields the regions with the scenes in which the two can differ; of scenes that are judged alike the first."""
    for region in draft.regions():
        if used.digests.get(region) == draft.digests[region]:
            continue
        judged: set[tuple[tuple[int, bool, int, bool], ...]] = set()
        for scene in Scene:
            rules: list[tuple[int, bool, int, bool]] = []
            for at in instants:
                try:
                    one, other = used.in_force(region, at), draft.in_force(region, at)
                except NoPolicyInForce:
                    continue
                rules.append((*_rules_of(one, scene), *_rules_of(other, scene)))
            if rules and tuple(rules) not in judged:
                judged.add(tuple(rules))
                yield region, scene


def _rules_of(in_force: PolicyInForce, scene: int) -> tuple[int, bool]:
    return id(in_force.policy.rules(scene)), in_force.asks(scene)


class Simulation:
    """Counts who loses and who gains, person after person; what it keeps does not grow with them."""

    def __init__(self, comparison: Comparison, instants: Sequence[Instant]) -> None:
        self._comparison = comparison
        self._instants = instants
        self._groups: dict[Group, Figures] = {}
        self.people = 0
        self.losing = 0
        self.gaining = 0

    @property
    def groups(self) -> Mapping[Group, Figures]:
        """Returns the figures of each group that the draft changes anything for."""
        return self._groups

    def add(self, known: Sequence[Sequence[Record]], laboratories: dict[str, Laboratory]) -> None:
        """Judges one person: the records as known at each of the instants, in order."""
        self.people += 1
        loses = gains = False
        for region, scene in self._comparison.places:
            lost, gained = self._in_place(region, scene, known, laboratories)
            loses, gains = loses or lost, gains or gained
        self.losing += loses
        self.gaining += gains

    def _in_place(
        self,
        region: str,
        scene: int,
        known: Sequence[Sequence[Record]],
        laboratories: dict[str, Laboratory],
    ) -> tuple[bool, bool]:
        losing: dict[Group, int] = {}
        gaining: dict[Group, int] = {}
        before = 0
        for at, records in zip(self._instants, known, strict=True):
            evidence = Evidence(region=region, scope=Scope.NATIONAL, records=tuple(records), laboratories=laboratories)
            try:
                used = judge(evidence, self._comparison.used, at, at, Check(scene))
                draft = judge(evidence, self._comparison.draft, at, at, Check(scene))
            except NoPolicyInForce:
                before = 0
                continue
            change = (draft.status in _FINE) - (used.status in _FINE)
            if change:
                told = draft if change > 0 else used
                counts = gaining if change > 0 else losing
                group = _group(region, scene, told, draft if told is used else used)
                counts[group] = counts.get(group, 0) + (change != before)
            before = change
        for group, tests in losing.items():
            self._count(group, Figures(losing=1, tests_owed=tests))
        for group, tests in gaining.items():
            self._count(group, Figures(gaining=1, tests_saved=tests))
        return bool(losing), bool(gaining)

    def _count(self, group: Group, figures: Figures) -> None:
        self._groups[group] = self._groups.get(group, Figures()).plus(figures)


def _group(region: str, scene: int, recognised: Verdict, other: Verdict) -> Group:
    ground = recognised.grounds[0]
    record = ground.evidence[0] if ground.evidence else None
    if record is None and other.newest is not None:
        # Where nothing is asked the test that fell short in the other is the one that matters.
        return Group(region, scene, other.newest.origin_region, ground.clause)
    if record is None:
        return Group(region, scene, "", ground.clause)
    return Group(region, scene, record.region if record.origin is None else record.origin.region, ground.clause)
