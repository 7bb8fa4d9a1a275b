"""Rules for Prometheus name metrics that there are."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from services.common.errors import Code
from services.runtime.access.contracts import methods
from services.runtime.metrics import CALL_SECONDS
from tests.testkit.checks.manifests import K8S
from tests.testkit.metrics_page import PAGE
from tests.testkit.tools import ROOT

MONITORING = K8S / "components" / "monitoring"
RULES = MONITORING / "rules"
IDENTITY = RULES / "identity.yaml"
METRICS = set(re.findall(r"`(hutong_\w+)`", PAGE.read_text(encoding="utf-8")))
LABELS = set(re.findall(r"`(\w+)`", PAGE.read_text(encoding="utf-8"))) | {"le", "pod"}
SAMPLES = re.compile(r"_(bucket|count|sum)$")


def groups(file: Path) -> list[dict[str, Any]]:
    """Returns the groups of a PrometheusRule."""
    found: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]["groups"]
    return found


def named(expression: str) -> set[str]:
    """Returns the metrics that an expression names, a histogram's samples by its own name; it names one at least, or a
    recorded one."""
    found = {SAMPLES.sub("", name) if SAMPLES.sub("", name) in METRICS else name for name in NAMES.findall(expression)}
    assert found or "hutong:" in expression, expression
    return found


NAMES = re.compile(r"hutong_\w+")
RULES_OF_ALL = [rule for file in sorted(RULES.glob("*.yaml")) for group in groups(file) for rule in group["rules"]]
ALERTS = [rule for rule in RULES_OF_ALL if "alert" in rule]
RECORDED = {rule["record"] for rule in RULES_OF_ALL if "record" in rule}
DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))


def test_every_rule_names_metrics_that_there_are():
    """And every alert says what it means, and what to do."""
    assert len(ALERTS) >= 20
    for rule in RULES_OF_ALL:
        assert named(rule["expr"]) <= METRICS, rule
        assert set(re.findall(r"hutong:\w+:\w+", rule["expr"])) <= RECORDED
    for rule in ALERTS:
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_every_alert_has_a_page_that_begins_with_what_to_look_at():
    """And the page names the alerts that lead to it."""
    for rule in ALERTS:
        text = (ROOT / rule["annotations"]["runbook"]).read_text(encoding="utf-8")
        assert f"`{rule['alert']}`" in text
        assert "## Look at this first" == next(line for line in text.splitlines() if line.startswith("## "))


def test_objectives_burn_at_three_speeds():
    """Two windows each, the long one and a twelfth of it: an alert comes when it matters, and goes when its cause
    does."""
    by_alert: dict[str, set[tuple[str, ...]]] = {}
    for rule in ALERTS:
        windows = tuple(re.findall(r"ratio_(\w+)", rule["expr"]))
        if windows:
            by_alert.setdefault(rule["alert"], set()).add(windows)
    assert {"HutongCodesFail", "HutongCodesAreSlow", "HutongWritesFail"} == by_alert.keys()
    assert all({("1h", "5m"), ("6h", "30m"), ("3d", "6h")} == windows for windows in by_alert.values())


def test_objectives_are_of_methods_and_outcomes_that_there_are():
    """A method that was renamed would make a ratio of nothing, and an alert that never comes."""
    known = dict(methods())
    codes = {code.name for code in Code}
    for rule in RULES_OF_ALL:
        for pattern in re.findall(r'method=~?"([^"]+)"', rule["expr"]):
            assert any(re.fullmatch(pattern, name) for name in known), pattern
        for pattern in re.findall(r'outcome=~"([^"]+)"', rule["expr"]):
            assert set(pattern.split("|")) <= codes
        for bound in re.findall(r'le="([^"]+)"', rule["expr"]):
            assert float(bound) in CALL_SECONDS.bounds


def test_dashboards_read_metrics_and_labels_that_there_are():
    """As the alerts do."""
    assert DASHBOARDS
    for file in DASHBOARDS:
        board = json.loads(file.read_text(encoding="utf-8"))
        for panel in board["panels"]:
            for target in panel["targets"]:
                expression = target["expr"]
                assert named(expression) <= METRICS, f"{file.name}: {panel['title']}: {expression}"
                assert set(re.findall(r"hutong:\w+:\w+", expression)) <= RECORDED
                used = {
                    label.strip() for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(",")
                }
                used |= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                assert used <= LABELS, f"{file.name}: {panel['title']}: {used - LABELS}"


def test_every_reason_of_a_wrong_store_is_watched():
    """Metrics of wrong stores, refused answers, feeds that went back and comparisons that are held."""
    watched = set(re.findall(r"hutong_\w+", IDENTITY.read_text(encoding="utf-8")))
    assert {
        "hutong_lookup_source_wrong",
        "hutong_records_stores_refused_total",
        "hutong_gateway_answers_refused_total",
        "hutong_verdict_evidence_refused_total",
        "hutong_gateway_directory_differs",
        "hutong_gateway_judges_differ_total",
        "hutong_records_follower_lag_seconds",
        "hutong_records_given_back_total",
        "hutong_gateway_feeds_begun_total",
    } <= watched
