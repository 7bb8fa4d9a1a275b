"""`hutong records purge` against a store that is not where it was said to be."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli.main import main
from services.records.store.sqlite.store import SqliteStore


def purge(path: Path) -> int:
    """The exit status of a purge of this file."""
    return main(["records", "purge", "--older-than", "365d", "--store-url", f"sqlite:///{path}"])


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped path is said, night by night, instead of nothing being purged from a new file."""
    path = tmp_path / "mistyped" / "430000.db"
    assert 2 == purge(path)
    assert "there is no store of records" in capsys.readouterr().err
    assert not path.parent.exists()


def test_a_file_of_another_service_is_left_alone(tmp_path: Path) -> None:
    """Its tables and its version stay its own."""
    path = tmp_path / "lookup.db"
    with closing(sqlite3.connect(path)) as file:
        file.executescript("create table holder_link (a); pragma user_version = 2;")
    before = path.read_bytes()
    assert 2 == purge(path)
    assert before == path.read_bytes()


def test_a_store_is_purged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that is there."""
    path = tmp_path / "430000.db"
    asyncio.run(SqliteStore(path, migrates=True).close())
    assert 0 == purge(path)
    assert "0 records were purged" in capsys.readouterr().out
