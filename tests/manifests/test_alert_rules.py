"""Rules for Prometheus name metrics that there are."""

import re

import yaml

from tests.testkit.checks.manifests import K8S
from tests.testkit.metrics_page import PAGE

RULES = K8S / "prometheus"


def test_every_rule_names_metrics_that_there_are():
    """And says what it means, and what to do."""
    metrics = set(re.findall(r"`(hutong_\w+)`", PAGE.read_text(encoding="utf-8")))
    files = sorted(RULES.glob("*.yaml"))
    assert files
    for file in files:
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                named = set(re.findall(r"hutong_\w+", rule["expr"]))
                assert named
                assert named <= metrics, f"{file.name}: {rule['alert']}: {named - metrics}"
                assert rule["annotations"]["summary"]
                assert rule["annotations"]["description"]
