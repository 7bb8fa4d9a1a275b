"""Settings of the lookup service, from the environment."""

from pathlib import Path

import pytest

from services.lookup.settings import Settings
from services.lookup.store.opening import open_store
from services.runtime.settings.environment import SettingsError, load
from tests.testkit.directories import directory_file
from tests.testkit.secret import SECRET

STORE = {"HUTONG_STORE_URL": "sqlite:///nowhere.db"}
REQUIRED = {"HUTONG_MESH_SECRET": SECRET, **STORE}


def test_the_members_are_in_a_file(tmp_path: Path) -> None:
    """Which is looked at before anything is started."""
    path = directory_file(tmp_path / "d.yaml", {"430000": "127.0.0.1:1", "nation": "nation:2"})
    environ = {**REQUIRED, "HUTONG_DIRECTORY": path, "HUTONG_SOURCE_TIMEOUT": "0.5"}
    settings = load(Settings, environ)
    assert settings.directory == path
    assert settings.source_timeout == 0.5
    (tmp_path / "d.yaml").write_text("regions: {'430000': {records: nowhere}}")
    with pytest.raises(SettingsError, match="HUTONG_DIRECTORY: 430000: expected host:port"):
        load(Settings, environ)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "HUTONG_STORE_URL is missing"),
        (STORE, "HUTONG_MESH_SECRET"),
        ({**STORE, "HUTONG_MESH_SECRET": "short"}, "16 bytes"),
        ({**REQUIRED, "HUTONG_DIRECTORY": "nowhere.yaml"}, "HUTONG_DIRECTORY: there is no file nowhere.yaml"),
        ({**REQUIRED, "HUTONG_SOURCE_TIMEOUT": "0"}, "HUTONG_SOURCE_TIMEOUT"),
    ],
)
def test_wrong_settings_are_named(environ: dict[str, str], said: str) -> None:
    """A process with a wrong setting does not start, and says which one it is."""
    with pytest.raises(SettingsError, match=said):
        load(Settings, environ)


def test_a_store_of_an_unknown_kind_is_refused_without_repeating_its_password() -> None:
    """The URL may hold a secret: only its scheme is told."""
    with pytest.raises(ValueError, match="mysql") as refused:
        open_store(Settings(mesh_secret=SECRET, store_url="mysql://user:password@host/db"))
    assert "password" not in str(refused.value)
