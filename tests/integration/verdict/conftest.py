"""The verdict service over both transports."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.testkit.fakes.lookup import FakeLookup
from tests.testkit.servers.verdict_service import in_process, over_a_wire


@pytest.fixture(params=[in_process, over_a_wire], ids=["in process", "over a wire"])
def transport(request) -> Callable[[FakeLookup], Any]:
    """The service as an object of this process, or behind a port."""
    return cast(Callable[[FakeLookup], Any], request.param)
