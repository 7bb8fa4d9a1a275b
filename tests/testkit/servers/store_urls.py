"""URLs of empty stores of either kind: fixtures of tests/conftest.py."""

import sqlite3
from pathlib import Path

import pytest

from tests.testkit.servers.citus import needs_citus

__all__ = ["any_store_url", "nation_url", "sqlite_url", "store_url"]


def sqlite_url(directory: Path, name: str = "records") -> str:
    """The URL of a SQLite file in a directory."""
    return f"sqlite:///{directory / name}.db"


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Returns the URL of an empty store."""
    return _url(request, tmp_path, "records")


@pytest.fixture(params=["sqlite", "postgres", pytest.param("citus", marks=needs_citus)])
def any_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Returns the URL of an empty store, which may be a cluster's too."""
    return _url(request, tmp_path, "records")


@pytest.fixture(params=["sqlite", "postgres"])
def nation_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Returns the URL of the nation's empty store."""
    return _url(request, tmp_path, "nation")


def _url(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path, name)
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def sqlite_copy(directory: Path, name: str, copied: str) -> None:
    """Backs up a SQLite file of a directory, or puts a backup back, as another file."""
    with sqlite3.connect(directory / f"{name}.db") as source, sqlite3.connect(directory / f"{copied}.db") as copy:
        source.backup(copy)
