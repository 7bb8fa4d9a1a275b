"""Prometheus's own tool plays the rules over hours of made-up samples: each alert comes when its cause lasts, and goes
when the cause has gone; nothing is said of a mesh that is well."""

import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from hutong.gateway.v1.health_code_service_pb2 import ShowHealthCodeRequest
from prometheus_client import REGISTRY

from services.common.errors import LimitExceeded
from services.runtime.limits.limiter import Limiter
from services.runtime.limits.rules import parse_rules
from services.runtime.rpc.call import Call
from services.runtime.telemetry.trace import new_trace
from tests.testkit.checks.manifests import K8S

RULES = sorted((K8S / "components/monitoring/rules").glob("*.yaml"))

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool here: it is in Debian's package prometheus"
)

SHOW = "hutong.gateway.v1.HealthCodeService/ShowHealthCode"
_SHOWN = 'hutong_calls_total{method="hutong.gateway.v1.HealthCodeService/ShowHealthCode", outcome="%s"}'
_WRITTEN = 'hutong_calls_total{method="hutong.records.v1.RecordWriteService/SubmitRecord", outcome="%s"}'
_ENDS = 'hutong_certificate_%s_seconds{principal="spiffe://hutong/mesh/lookup"}'


class Story(NamedTuple):
    """Samples, one a minute, in promtool's own notation, and which alerts fire, how often each, at which moments."""

    name: str
    series: dict[str, str]
    firing: dict[str, dict[str, int]]


STORIES = [
    Story(
        "a mesh that is well",
        {
            _SHOWN % "OK": "0+6000x300",
            _SHOWN % "NOT_FOUND": "0+600x300",
            _SHOWN % "UNAVAILABLE": "0+3x300",
            _WRITTEN % "OK": "0+6000x300",
            "hutong_gateway_news_age_seconds": "1+0x300",
            'hutong_lookup_source_down{source="430000"}': "0x300",
            _ENDS % "begins": "0+0x300",
            _ENDS % "ends": "86400+0x300",
        },
        {"2h": {}, "5h": {}},
    ),
    Story(
        "a tenth of all codes fails for an hour",
        {_SHOWN % "OK": "0+5400x300", _SHOWN % "UNAVAILABLE": "0+0x60 600+600x59 36000+0x180"},
        {"59m": {}, "75m": {"HutongCodesFail": 1}, "110m": {"HutongCodesFail": 2}, "4h": {"HutongCodesFail": 1}},
    ),
    Story(
        "what callers do wrong is no failure",
        {_SHOWN % "OK": "0+600x300", _SHOWN % "INVALID_ARGUMENT": "0+6000x300"},
        {"5h": {}},
    ),
    Story(
        "writes fail, codes do not",
        {
            _SHOWN % "OK": "0+6000x300",
            _WRITTEN % "OK": "0+600x300",
            _WRITTEN % "UNAVAILABLE": "0+0x60 60+60x240",
        },
        {"59m": {}, "76m": {"HutongWritesFail": 1}, "80m": {"HutongWritesFail": 2}},
    ),
    Story(
        "news stop for ten minutes",
        {"hutong_gateway_news_age_seconds": "1+0x30 60+60x9 1+0x60"},
        {"29m": {}, "35m": {"HutongNewsDoNotCome": 1}, "50m": {}},
    ),
    Story(
        "two stores do not answer, one of them for a moment",
        {
            'hutong_lookup_source_down{source="430000"}': "0x10 1x20 0x30",
            'hutong_lookup_source_down{source="110000"}': "0x15 1x0 0x44",
        },
        {"9m": {}, "20m": {"HutongSourceDown": 1}, "50m": {}},
    ),
    Story(
        "a certificate of a day is not renewed",
        {_ENDS % "begins": "0+0x1500", _ENDS % "ends": "86400+0x1500"},
        {"17h": {}, "18h30m": {"HutongCertificateEnds": 1}},
    ),
]


def written(folder: Path) -> list[str]:
    """Writes the rules as Prometheus reads them, without the object round them; returns the files."""
    for path in RULES:
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
        (folder / path.name).write_text(yaml.safe_dump(spec, allow_unicode=True), encoding="utf-8")
    return [path.name for path in RULES]


def promtool(folder: Path, *words: str) -> str:
    """Runs the tool; returns what it said, empty when it had nothing against it."""
    done = subprocess.run(["promtool", *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_rules_are_rules(tmp_path: Path) -> None:
    """Each expression, each template."""
    assert "" == promtool(tmp_path, "check", "rules", *written(tmp_path))


async def tried(numbers_a_second: int, minutes: int) -> list[int]:
    """Plays somebody at one address who asks for numbers that nobody has, by a limiter with the rules as they come;
    returns by how much the metric has grown at the end of each minute."""
    rules = parse_rules({})
    assert rules is not None
    second = 0
    limiter = Limiter(rules, now=lambda: float(second))
    call = Call("", 0.0, new_trace(None), address="192.0.2.1")
    request = ShowHealthCodeRequest()

    def surcharge() -> float:
        return REGISTRY.get_sample_value("hutong_unknown_persons_surcharge_total", {"asker": "address"}) or 0

    before, grown = surcharge(), [0]
    for second in range(1, minutes * 60 + 1):
        for _ in range(numbers_a_second):
            try:
                await limiter.admit(call, SHOW, request)
            except LimitExceeded:
                # Whoever is refused is told nothing, and charged for nothing.
                break
            limiter.charge(call, SHOW, 1)
        if second % 60 == 0:
            grown.append(int(surcharge() - before))
    return grown


@pytest.mark.parametrize(
    ("numbers_a_second", "firing"),
    [(100, {"9m": {"HutongNumbersAreTried": 1}, "30m": {}}), (10, {"9m": {}, "30m": {}})],
    ids=["somebody tries numbers", "a province mistypes"],
)
async def test_whoever_tries_numbers_rings(
    numbers_a_second: int, firing: dict[str, dict[str, int]], tmp_path: Path
) -> None:
    """The alert goes by what the limiter counts with the limits as they come: ten minutes of numbers that nobody has,
    from one address, ring while they last and not for long after; those that honest people mistype do not."""
    grown = await tried(numbers_a_second, 10)
    values = " ".join(map(str, grown + grown[-1:] * 30))
    story = Story("", {'hutong_unknown_persons_surcharge_total{asker="address"}': values}, firing)
    test_an_alert_comes_with_its_cause_and_goes_with_it(story, tmp_path)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_an_alert_comes_with_its_cause_and_goes_with_it(story: Story, tmp_path: Path) -> None:
    """How many alerts of each name fire at each moment; of all others none does."""
    checks: list[dict[str, Any]] = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": moment,
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": count} for name, count in firing.items()],
        }
        for moment, firing in story.firing.items()
    ]
    series = [{"series": name, "values": values} for name, values in story.series.items()]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": checks}
    document = {"rule_files": written(tmp_path), "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    assert "" == promtool(tmp_path, "test", "rules", "tests.yaml")
