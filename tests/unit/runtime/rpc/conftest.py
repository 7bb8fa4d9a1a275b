"""Every test of a call runs over a real server and within one process."""

import pytest

from tests.testkit.fakes.servicer import TRANSPORTS


@pytest.fixture(params=sorted(TRANSPORTS))
def transport(request):
    """Opens a servicer to its caller."""
    return TRANSPORTS[request.param]
