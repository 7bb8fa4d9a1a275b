"""The URL of the store of push subscriptions is given in a file, as it is where it holds a password."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.settings import GatewaySettings
from services.runtime.settings.environment import SettingsError, load
from tests.testkit.secret import SECRET

URL = "postgresql://service:word@push-db-rw:5432/push"


@pytest.fixture
def told(tmp_path: Path) -> dict[str, str]:
    """The environment of a gateway that tells devices, its store's URL in a file."""
    (tmp_path / "store-url").write_text(f"{URL}\n", encoding="utf-8")
    (tmp_path / "push.pem").touch()
    (tmp_path / "directory.yaml").touch()
    return {
        "HUTONG_MESH_SECRET": SECRET,
        "HUTONG_PUSH_KEY": str(tmp_path / "push.pem"),
        "HUTONG_PUSH_CONTACT": "mailto:push@example.cn",
        "HUTONG_PUSH_STORE_FILE": str(tmp_path / "store-url"),
    }


def test_the_store_of_a_key_may_be_named_by_a_file(told):
    """What stands in the file is the store's URL."""
    assert load(GatewaySettings, told).push_store == URL


def test_a_key_without_a_store_is_refused(told):
    """Whichever of the two settings is missing; a file of nothing is no store."""
    Path(told["HUTONG_PUSH_STORE_FILE"]).write_text("\n", encoding="utf-8")
    for environ in (told, {name: value for name, value in told.items() if name != "HUTONG_PUSH_STORE_FILE"}):
        with pytest.raises(SettingsError, match=r"^HUTONG_PUSH_STORE: is needed with HUTONG_PUSH_KEY$"):
            load(GatewaySettings, environ)


def test_a_store_is_named_once_and_rightly(told, tmp_path):
    """A second URL, another scheme and a file that is not there are told of the setting that is wrong, never with what
    stands in the file."""
    with pytest.raises(SettingsError, match=r"^HUTONG_PUSH_STORE and HUTONG_PUSH_STORE_FILE: one of them is given$"):
        load(GatewaySettings, told | {"HUTONG_PUSH_STORE": URL})
    Path(told["HUTONG_PUSH_STORE_FILE"]).write_text("mysql://service:word@push-db/push", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"^HUTONG_PUSH_STORE_FILE: begins with sqlite:///") as refused:
        load(GatewaySettings, told)
    assert "word" not in str(refused.value)
    with pytest.raises(SettingsError, match=r"^HUTONG_PUSH_STORE_FILE: .*nowhere"):
        load(GatewaySettings, told | {"HUTONG_PUSH_STORE_FILE": str(tmp_path / "nowhere")})


def test_the_command_that_migrates_takes_the_file(tmp_path):
    """The image's own command makes the store that the file names."""
    (tmp_path / "migrate-url").write_text(f"sqlite:///{tmp_path}/push.db", encoding="utf-8")
    environ = {"HUTONG_PUSH_STORE_FILE": str(tmp_path / "migrate-url")}
    done = subprocess.run(
        [sys.executable, "-m", "gateway.push.migrate"], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "push.db").exists()
