"""Opens the store that a setting names by its URL, a file or a database, with an engine that is loaded when it is
wanted."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from services.runtime.settings.environment import SettingsError
from services.runtime.storage.migration_command import file_of
from services.runtime.storage.schema import SchemaError

S = TypeVar("S")


def open_at(url: str, setting: str, file: Callable[[Path], S], database: Callable[[str], S]) -> S:
    """Returns the store that `file` makes of the path in sqlite:///PATH, or `database` of another URL. Raises
    SettingsError, which names the setting, for a file that `file` raises SchemaError for; and what they raise else."""
    path = file_of(url)
    if path is None:
        return database(url)
    try:
        return file(path)
    except SchemaError as error:
        raise SettingsError(f"{setting}: {url}: {error}") from None
