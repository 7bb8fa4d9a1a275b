"""The code is linted, formatted and typed."""

import sys

import pytest

from tests.testkit.tools import passes, tool

CODE = ("services", "gateway", "cli", "bench", "tests", ".ci/venv", "k8s")


def test_ruff_finds_nothing():
    """The rules stand in pyproject.toml."""
    passes(tool("ruff"), "check", "--no-cache", "--output-format=concise", *CODE)


def test_the_code_is_formatted():
    """By ruff; `ruff format` mends it."""
    passes(tool("ruff"), "format", "--no-cache", "--check", *CODE)


@pytest.mark.timeout(600)
def test_the_code_is_typed():
    """Mypy strict over everything handwritten."""
    passes(sys.executable, "-m", "mypy", "--no-error-summary")
