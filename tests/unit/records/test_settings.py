"""Settings that contradict themselves are refused before anything is served."""

from pathlib import Path
from typing import Any

import pytest

from services.common.regions import divisions
from services.records.composition import build
from services.records.settings import Settings
from services.records.store.opening import open_store
from services.runtime.settings.environment import SettingsError, load
from tests.testkit.directories import directory_file
from tests.testkit.secret import SECRET


def _settings(**fields: Any) -> Settings:
    return Settings(**{"store_url": "sqlite:///nowhere.db", **fields})


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    """Lists are read from comma-separated variables, the members of the mesh from a file."""
    directory = directory_file(tmp_path / "d.yaml", {"430000": "127.0.0.1:7", "440000": "h:8"})
    settings = load(
        Settings,
        {
            "HUTONG_REGION": "nation",
            "HUTONG_STORE_URL": "sqlite:///nowhere.db",
            "HUTONG_KEEPS": "120000,130000",
            "HUTONG_DIRECTORY": directory,
        },
    )
    assert settings.kept_regions(settings.followed) == {"120000", "130000"}
    assert {region: member.records for region, member in settings.followed.items()} == {
        "430000": "127.0.0.1:7",
        "440000": "h:8",
    }


def test_a_region_follows_nobody(tmp_path: Path) -> None:
    """Though the list of members is the same for all."""
    directory = directory_file(tmp_path / "d.yaml", {"430000": "127.0.0.1:7", "440000": "h:8"})
    assert _settings(region="430000", directory=directory).followed == {}


def test_a_region_keeps_itself_and_the_nation_what_it_does_not_follow() -> None:
    """What `keeps` stands for when it is empty."""
    assert _settings(region="430000").kept_regions(()) == {"430000"}
    assert _settings(region="nation").kept_regions(["430000"]) == set(divisions()) - {"430000"}


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        (_settings(region="mars"), "HUTONG_REGION"),
        (_settings(region="430000", keeps=("1",)), "HUTONG_KEEPS"),
        (_settings(region="nation", directory="nowhere.yaml"), "HUTONG_DIRECTORY"),
        (_settings(region="430000", mesh_secret="short"), "HUTONG_MESH_SECRET"),
    ],
)
def test_contradictions_name_their_variable(settings: Settings, variable: str) -> None:
    """An error of settings says which variable to mend."""
    with pytest.raises(SettingsError, match=variable):
        settings.check()
    with pytest.raises(SettingsError, match=variable):
        build(settings)


def test_a_region_is_written_in_one_place(tmp_path: Path) -> None:
    """The nation keeps none that it follows."""
    directory = directory_file(tmp_path / "d.yaml", {"430000": "h:7"})
    with pytest.raises(SettingsError, match="HUTONG_KEEPS and HUTONG_DIRECTORY"):
        _settings(region="nation", keeps=("430000",), directory=directory).check()


def test_a_store_of_no_known_kind_is_refused() -> None:
    """The store's URL says which database it is."""
    with pytest.raises(SettingsError, match="HUTONG_STORE_URL"):
        open_store(_settings(region="430000", mesh_secret=SECRET, store_url="mysql://x"))
