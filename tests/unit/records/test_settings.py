"""Settings that contradict themselves are refused before anything is served."""

from typing import Any

import pytest

from services.common.regions import divisions
from services.records.composition import build
from services.records.settings import Settings
from services.records.store.opening import open_store
from services.runtime.settings.environment import SettingsError, load
from tests.testkit.secret import SECRET


def _settings(**fields: Any) -> Settings:
    return Settings(**{"store_url": "sqlite:///nowhere.db", **fields})


def test_settings_come_from_the_environment() -> None:
    """Lists and maps are read from comma-separated variables."""
    settings = load(
        Settings,
        {
            "HUTONG_REGION": "nation",
            "HUTONG_STORE_URL": "sqlite:///nowhere.db",
            "HUTONG_KEEPS": "120000,130000",
            "HUTONG_FOLLOW": "430000=127.0.0.1:7,440000=h:8",
        },
    )
    assert settings.kept_regions(settings.follow) == {"120000", "130000"}
    assert settings.follow == {"430000": "127.0.0.1:7", "440000": "h:8"}


def test_a_region_keeps_itself_and_the_nation_what_it_does_not_follow() -> None:
    """What `keeps` stands for when it is empty."""
    assert _settings(region="430000").kept_regions(()) == {"430000"}
    assert _settings(region="nation").kept_regions(["430000"]) == set(divisions()) - {"430000"}


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        (_settings(region="mars"), "HUTONG_REGION"),
        (_settings(region="430000", keeps=("1",)), "HUTONG_KEEPS"),
        (_settings(region="nation", follow={"1": "h:7"}), "HUTONG_FOLLOW"),
        (_settings(region="nation", keeps=("430000",), follow={"430000": "h:7"}), "HUTONG_KEEPS"),
        (_settings(region="430000", mesh_secret="short"), "HUTONG_MESH_SECRET"),
    ],
)
def test_contradictions_name_their_variable(settings: Settings, variable: str) -> None:
    """An error of settings says which variable to mend."""
    with pytest.raises(SettingsError, match=variable):
        settings.check()
    with pytest.raises(SettingsError, match=variable):
        build(settings)


def test_a_store_of_no_known_kind_is_refused() -> None:
    """The store's URL says which database it is."""
    with pytest.raises(SettingsError, match="HUTONG_STORE_URL"):
        open_store(_settings(region="430000", mesh_secret=SECRET, store_url="mysql://x"))
