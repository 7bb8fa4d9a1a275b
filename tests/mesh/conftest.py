"""Both ways of running a mesh."""

from collections.abc import Sequence

import pytest


@pytest.fixture(params=[(), ("--mesh",)], ids=["one process", "process per service"])
def way(request: pytest.FixtureRequest) -> Sequence[str]:
    """Both ways of running a mesh."""
    arguments: Sequence[str] = request.param
    return arguments
