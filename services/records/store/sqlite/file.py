"""The errors of a SQLite file, as this service's callers see them."""

from contextlib import AbstractContextManager

from services.records.store.errors import unavailable
from services.runtime.storage.sqlite.file import guard


def guarded() -> AbstractContextManager[None]:
    """Raises Unavailable for whatever the database or its file refuses within."""
    return guard(unavailable)
