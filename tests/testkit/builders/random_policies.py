"""Random policies and single tests for what must hold of every policy, drawn fast: by the million."""

from random import Random

import msgspec

from services.common.instants import HOUR, Instant, parse_rfc3339
from services.verdict.domain.evidence.values import Channel, Kind, Origin, Record, Result, Tube
from services.verdict.domain.policy.compiled import CompiledPolicy, compile_policy
from services.verdict.domain.policy.contents import PolicyFile

STARTS = ("2022-07-01T00:00:00+08:00", "2022-08-10T00:00:00+08:00", "2022-08-11T00:00:00+08:00")
REGION, NEIGHBOUR, ELSEWHERE = "310000", "340000", "430000"
SCENES = ("hotel", "metro", "school")
_HOURS = (12, 24, 48, 72)


def _clause(random: Random, number: int) -> dict[str, object]:
    clause: dict[str, object] = {
        "id": f"c{number}",
        "text": {"zh": "条", "en": "c"},
        "evidence": "sampling_record" if random.random() < 0.1 else "result",
        "origins": random.choice([["local"], ["anywhere"], ["local", ELSEWHERE], ["bloc:yangtze-delta"], [ELSEWHERE]]),
        "window": {
            "hours": random.choice(_HOURS),
            "from": random.choice(["sampled", "reported"]),
            "edge": random.choice(["inclusive", "exclusive"]),
        },
    }
    window = clause["window"]
    assert isinstance(window, dict)
    if clause["evidence"] == "sampling_record":
        window["from"] = "sampled"
    if random.random() < 0.15:
        window["sampling_time"] = "required"
    if random.random() < 0.3:
        clause["channels"] = random.sample(["laboratory", "paper", "certificate"], random.randint(1, 2))
    if random.random() < 0.3:
        clause["tubes"] = random.sample(["single", "pool_10"], 1)
    if random.random() < 0.1:
        clause["count"] = {"tests": 2, "apart_hours": 6}
    return clause


def _notice(random: Random) -> dict[str, object]:
    return {
        "mode": "enforce" if random.random() < 0.8 else "report",
        "window": {"hours": random.choice(_HOURS), "edge": random.choice(["inclusive", "exclusive"])},
    }


def random_policies(random: Random) -> list[CompiledPolicy]:
    """One to three versions of one region's policy; some are in force for a day."""
    return [_policy(random, starts) for starts in STARTS if starts == STARTS[0] or random.random() < 0.5]


def _policy(random: Random, starts: str) -> CompiledPolicy:
    clauses = [_clause(random, number) for number in range(random.randint(1, 3))]
    content: dict[str, object] = {
        "region": REGION,
        "effective_from": starts,
        "title": {"zh": "题", "en": "t"},
        "clauses": clauses,
        "notice": _notice(random),
        "days_since_test": {"kept": "anywhere"},
        "pending": {"hours": 24, "edge": "exclusive"},
        "colours": dict.fromkeys(
            ["recognised", "not_recognised", "pending", "positive", "retest_required", "undetermined"], "green"
        ),
    }
    if random.random() < 0.3:
        rules: dict[str, object] = {"scenes": [random.choice(SCENES)]}
        if random.random() < 0.3:
            rules["requires"] = "nothing"
        else:
            rules["clauses"] = [_clause(random, number) for number in range(random.randint(1, 2))]
            if random.random() < 0.5:
                rules["notice"] = _notice(random)
        content["scenes"] = [rules]
    return compile_policy(msgspec.convert(content, PolicyFile))


def random_test(random: Random) -> tuple[Record, str, Instant]:
    """A negative result, where it was taken, and an instant at which it is checked: on a grid on which edges meet."""
    at = Instant(parse_rfc3339("2022-08-08T00:00:00+08:00") + random.randrange(0, 12 * 16) * 6 * HOUR // 12)
    if random.random() < 0.3:
        at = Instant(at + random.choice([-1, 1]))
    reported_at = Instant(at - random.randrange(0, 80) * HOUR - random.choice([0, 0, 1]))
    sampled_at = random.choice(
        [None, reported_at, Instant(reported_at - random.randrange(0, 100) * HOUR), Instant(reported_at - 300 * HOUR)]
    )
    origin = random.choice([REGION, NEIGHBOUR, ELSEWHERE, "650000"])
    channel = random.choice([Channel.LABORATORY, Channel.PAPER, Channel.CERTIFICATE, Channel.HEALTH_CODE])
    here = channel != Channel.LABORATORY and origin != REGION
    record = Record(
        region=REGION if here else origin,
        source_id="t",
        kind=Kind.RESULT,
        result=Result.NEGATIVE,
        tube=random.choice([Tube.SINGLE, Tube.POOL_10, Tube.POOL_20]),
        channel=channel,
        laboratory="lab",
        sampled_at=sampled_at,
        reported_at=reported_at,
        origin=Origin(origin) if here else None,
    )
    return record, origin, at
