"""Limits are read from settings, and every method has a class."""

import pytest

from services.runtime.access.contracts import methods
from services.runtime.limits.classes import CLASSES, LimitClass, cost_of
from services.runtime.limits.rules import ADDRESS, PRINCIPAL, LimitRuleError, parse_rules
from services.runtime.rpc.port import request_class

MOST = 1_000
"""Questions that a batch may hold."""


def test_every_method_has_a_class():
    """And nothing else has."""
    assert set(dict(methods())) == set(CLASSES)


def test_what_a_batch_holds_is_what_it_costs():
    """Each request of the batch class says how many questions it has."""
    for name, method in methods():
        lists = [field for field in method.input_type.fields if field.is_repeated and field.message_type is not None]
        if CLASSES[name] is not LimitClass.BATCH or not lists:
            continue
        request = request_class(method)()
        for _ in range(7):
            added = getattr(request, lists[0].name).add()
            if hasattr(added, "subjects"):
                added.subjects.add()
        assert 7 == cost_of(request), name


def test_the_largest_batch_is_within_every_default():
    """Whoever asks nothing else is never refused."""
    rules = parse_rules({})
    assert rules is not None
    for asker in (PRINCIPAL, ADDRESS):
        assert rules.of(LimitClass.BATCH, asker).burst >= 10 * MOST


def test_a_setting_changes_the_limit_that_it_names():
    """The others stay."""
    rules = parse_rules({"code-per-address": "5/7"})
    assert rules is not None
    rule = rules.of(LimitClass.CODE, ADDRESS)
    assert (5, 7, "code-per-address") == (rule.rate, rule.burst, rule.name)
    assert rules.of(LimitClass.CODE, PRINCIPAL).burst > 7


def test_limits_can_be_switched_off():
    """By name, and by nothing else."""
    assert parse_rules({"none": "true"}) is None
    with pytest.raises(LimitRuleError):
        parse_rules({"none": "false"})


@pytest.mark.parametrize("value", ["", "5", "5/", "/5", "0/5", "5/0", "-1/5", "nan/5", "5/inf", "a/b", "5/5/5"])
def test_what_is_no_rule_is_refused_by_name(value: str):
    """A limit that nobody meant is not guessed."""
    with pytest.raises(LimitRuleError, match="code-per-address"):
        parse_rules({"code-per-address": value})


def test_an_unknown_name_is_refused():
    """With those that there are."""
    with pytest.raises(LimitRuleError, match="code-per-address"):
        parse_rules({"codes": "5/5"})
