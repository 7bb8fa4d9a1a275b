"""Every test of a call runs over a real server and within one process."""

import pytest

from tests.testkit.contract import DOORS


@pytest.fixture(params=sorted(DOORS))
def door(request):
    """Opens a servicer to its caller."""
    return DOORS[request.param]
