"""Settings come from the environment, and what is wrong is named as the operator wrote it."""

import msgspec
import pytest

from services.runtime.settings import ServerSettings, SettingsError, load


class Settings(ServerSettings, frozen=True, kw_only=True):
    """Settings of every shape in use."""

    region: str
    keeps: frozenset[str] = frozenset()
    follow: dict[str, str] = msgspec.field(default_factory=dict)
    page: int = 10


def test_every_shape_is_read():
    """Texts, numbers, lists and maps; blanks and empty pieces do not matter."""
    settings = load(
        Settings,
        {
            "HUTONG_REGION": "nation",
            "HUTONG_KEEPS": "110000, 310000,",
            "HUTONG_FOLLOW": "110000=a:1, 310000=b:2",
            "HUTONG_PAGE": "25",
            "HUTONG_DRAIN_WAIT": "1.5",
            "PATH": "/bin",
        },
    )
    assert (
        Settings(
            region="nation",
            keeps=frozenset({"110000", "310000"}),
            follow={"110000": "a:1", "310000": "b:2"},
            page=25,
            drain_wait=1.5,
        )
        == settings
    )


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({}, "HUTONG_REGION"),
        ({"HUTONG_REGION": "nation", "HUTONG_PAGE": "ten"}, "HUTONG_PAGE"),
        ({"HUTONG_REGION": "nation", "HUTONG_DRAIN_GRACE": "long"}, "HUTONG_DRAIN_GRACE"),
        ({"HUTONG_REGION": "nation", "HUTONG_FOLLOW": "110000"}, "HUTONG_FOLLOW"),
    ],
)
def test_what_is_wrong_is_named(environ, variable):
    """The operator reads the name of the variable, not that of a field."""
    with pytest.raises(SettingsError, match=variable):
        load(Settings, environ)


def test_a_default_needs_no_environment():
    """Every server setting has one."""
    assert ServerSettings() == load(ServerSettings, {})
