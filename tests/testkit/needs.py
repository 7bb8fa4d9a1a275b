"""Tests that need something of the machine are skipped where it is missing, and fail in CI."""

import os
from typing import NoReturn

import pytest

CI = os.environ.get("CI", "").lower() in {"1", "true"}
"""Whether this run must prove everything."""


def missing(reason: str) -> NoReturn:
    """Skips the test on a laptop; fails it when CI=true, where a suite that silently tested half of it is no suite."""
    if CI:
        pytest.fail(f"CI must have this: {reason}", pytrace=False)
    pytest.skip(reason)
