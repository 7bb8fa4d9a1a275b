"""Rules for Prometheus name metrics that there are."""

import re

import yaml

from tests.testkit.checks.manifests import K8S
from tests.testkit.metrics_page import PAGE
from tests.testkit.tools import ROOT

RULES = K8S / "prometheus"
IDENTITY = RULES / "identity.yaml"


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


def test_every_alert_of_identity_has_a_page_that_begins_with_what_to_look_at():
    """And the page names the alerts that lead to it."""
    rules = [
        rule for group in yaml.safe_load(IDENTITY.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
    ]
    assert rules
    for rule in rules:
        text = (ROOT / rule["annotations"]["runbook"]).read_text(encoding="utf-8")
        assert f"`{rule['alert']}`" in text
        assert "## Look at this first" == next(line for line in text.splitlines() if line.startswith("## "))


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
