"""The error of every store."""

from services.common.errors import Unavailable


def unavailable(error: Exception | None = None) -> Unavailable:
    """Returns the error for whatever goes wrong in a database: STORE_UNAVAILABLE, never the words of its driver."""
    return Unavailable("STORE_UNAVAILABLE", "记录库暂不可用", "The records store is not available")
