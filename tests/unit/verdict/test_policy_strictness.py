"""The decision whether a policy is stricter than the notice: random tests never contradict it, either way.

HUTONG_POLICY_EVIDENCES=1000000 python -m pytest tests/unit/verdict/test_policy_strictness.py draws a million of them.
"""

import os
from pathlib import Path
from random import Random

import pytest

from services.common.instants import HOUR, Instant, format_rfc3339
from services.verdict.domain.evidence.values import Channel, Check, Evidence, Record, Scene, Scope, Tube
from services.verdict.domain.judgement.judge import judge
from services.verdict.domain.policy.contents import ClauseEntry, PolicyFile
from services.verdict.domain.policy.policy_set import PolicySet
from services.verdict.domain.verdict import Status
from services.verdict.policy.files import load_directory
from services.verdict.policy.tools.check import check
from services.verdict.policy.tools.comparison import differences
from services.verdict.policy.tools.strictness import counter_example
from tests.testkit.builders.random_policies import REGION, SCENES, random_policies, random_test
from tests.testkit.oracles.verdict import for_scene

EVIDENCES = int(os.environ.get("HUTONG_POLICY_EVIDENCES", "20000"))
FOR_EACH_SET = 50
NOTICES = load_directory().notices
TRIALS = Path(__file__).with_name("stricter_policies")


def _takes_local(entry: ClauseEntry, record: Record) -> bool:
    """Says whether the clause takes a test like this one that was taken here, whatever its age."""
    return (
        entry.evidence == "result"
        and entry.count is None
        and any(name in ("local", "anywhere", REGION, "bloc:yangtze-delta") for name in entry.origins)
        and (entry.channels is None or Channel(record.channel).name.lower() in entry.channels)
        and (entry.tubes is None or Tube(record.tube).name.lower() in entry.tubes)
        and (entry.window.sampling_time != "required" or record.sampled_at is not None)
    )


def _protected(policy: PolicyFile, record: Record, at: Instant) -> bool:
    """Says whether the notice protects the test: it is inside the longest local window, counted from its report."""
    windows = [(policy.notice.window.hours, policy.notice.window.edge)]
    windows += [
        (entry.window.hours, entry.window.edge) for entry in policy.clauses or () if _takes_local(entry, record)
    ]
    assert record.reported_at is not None
    age = at - record.reported_at
    return any(0 <= age < hours * HOUR or (age == hours * HOUR and edge == "inclusive") for hours, edge in windows)


def test_random_tests_never_contradict_the_decision():
    """What a policy set was decided never to refuse is never refused; what was shown as refused is, by the engine."""
    random = Random(20221207)
    stricter = refused = 0
    for _ in range(EVIDENCES // FOR_EACH_SET):
        versions = random_policies(random)
        policies = PolicySet(versions, NOTICES)
        examples = {version.ref.policy_id: counter_example(version, policies) for version in versions}
        stricter += any(example is not None for example in examples.values())
        for _ in range(FOR_EACH_SET):
            record, _, at = random_test(random)
            scene = Scene[random.choice(SCENES).upper()] if random.random() < 0.4 else Scene.NONE
            in_force = policies.in_force(REGION, at)
            assert in_force.binds
            verdict = judge(
                Evidence(region=REGION, scope=Scope.NATIONAL, records=(record,)), policies, at, at, Check(scene)
            )
            if verdict.status in (Status.RECOGNISED, Status.NOT_REQUIRED):
                continue
            if _protected(for_scene(in_force.policy.source, scene), record, at):
                refused += 1
                assert examples[in_force.policy.ref.policy_id] is not None, (record, format_rfc3339(at), scene)
        for version in versions:
            example = examples[version.ref.policy_id]
            if example is not None:
                _confirm(example.record, Scene(example.scene), example.at, policies, version.source)
    # The draw must meet both answers often enough to mean something.
    assert stricter > EVIDENCES // FOR_EACH_SET // 10
    assert refused > EVIDENCES // 100


def _confirm(record: Record, scene: Scene, at: Instant, policies: PolicySet, source: PolicyFile) -> None:
    """Asserts that the notice protects the counter-example, and that the engine refuses it under that very version."""
    verdict = judge(Evidence(region=REGION, scope=Scope.NATIONAL, records=(record,)), policies, at, at, Check(scene))
    assert verdict.status not in (Status.RECOGNISED, Status.NOT_REQUIRED)
    assert policies.in_force(REGION, at).policy.source == source
    assert _protected(for_scene(source, scene), record, at)


def test_random_tests_never_contradict_a_comparison():
    """A test that one version recognises and the other does not belongs to a kind that is told to differ that way."""
    random = Random(310000)
    told = 0
    for _ in range(EVIDENCES // FOR_EACH_SET // 4):
        one, other = (PolicySet([random_policies(random)[0]], NOTICES) for _ in range(2))
        before, after = one.spans(REGION)[-1][1], other.spans(REGION)[-1][1]
        compared = differences(before, after)
        for _ in range(FOR_EACH_SET):
            record, origin, at = random_test(random)
            scene = Scene[random.choice(SCENES).upper()] if random.random() < 0.4 else Scene.NONE
            evidence = Evidence(region=REGION, scope=Scope.NATIONAL, records=(record,))
            fine = [
                judge(evidence, policies, at, at, Check(scene)).status in (Status.RECOGNISED, Status.NOT_REQUIRED)
                for policies in (one, other)
            ]
            if fine[0] == fine[1]:
                continue
            told += 1
            kinds = [
                item
                for item in compared
                if (origin, record.channel, record.tube) in item.kinds
                and (before.policy.rules(item.scene), after.policy.rules(item.scene))
                == (before.policy.rules(scene), after.policy.rules(scene))
            ]
            assert any(item.loses if fine[0] else item.gains for item in kinds)
    assert told > EVIDENCES // 100


@pytest.mark.parametrize("name", ["in-force-for-a-day", "longer-through-another-channel"])
def test_what_was_once_missed_is_found(name: str):
    """A version in force for less than its window; a local window that is longer through another channel."""
    findings = [finding for finding in check([TRIALS / name]) if finding.code == "STRICTER_THAN_NOTICE"]
    assert [finding.severity.value for finding in findings] == ["error"]
    assert "2022-08-10.yaml" in findings[0].where
