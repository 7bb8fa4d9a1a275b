"""Batches, pages and scopes are refused for the same reasons by every service."""

import pytest
from hutong.lookup.v1.region_pb2 import Scope

from services.common.errors import InvalidArgument
from services.common.requests import limits

NONE, LOCAL, NATIONAL = Scope.SCOPE_UNSPECIFIED, Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL


def refused(check, *args, **options) -> tuple[str, str]:
    """The field and the reason of a refusal."""
    with pytest.raises(InvalidArgument) as raised:
        check(*args, **options)
    (violation,) = raised.value.violations
    return violation.field, violation.reason


@pytest.mark.parametrize(("count", "most"), [(1, 1000), (1000, 1000), (5000, 5000)])
def test_a_batch_within_its_limit_is_taken(count, most):
    """Both ends included."""
    limits.check_batch(count, "queries", most)


@pytest.mark.parametrize(("count", "most"), [(0, 1000), (1001, 1000), (5001, 5000)])
def test_a_batch_beyond_is_not(count, most):
    """Nor one with nothing in it."""
    assert ("queries", "BATCH_SIZE") == refused(limits.check_batch, count, "queries", most)


def test_a_page_has_its_default_and_its_most():
    """0 stands for the default; who asks for more than the most gets the most."""
    assert [100, 1, 1000, 1000] == [limits.page_size(asked) for asked in (0, 1, 1000, 1001)]
    assert [50, 200] == [limits.page_size(asked, 50, 200) for asked in (0, 201)]
    assert ("page_size", "PAGE_SIZE") == refused(limits.page_size, -1)


def test_a_scope_is_one_of_two():
    """None will do where it is not required; a number of a later version is told from none."""
    for scope in (NONE, LOCAL, NATIONAL):
        limits.check_scope(scope)
    for scope in (LOCAL, NATIONAL):
        limits.check_scope(scope, required=True)
    assert ("scope", "SCOPE_REQUIRED") == refused(limits.check_scope, NONE, required=True)
    for required in (False, True):
        assert ("q.scope", "SCOPE_UNKNOWN") == refused(limits.check_scope, 9, "q.scope", required=required)
