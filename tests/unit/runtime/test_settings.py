"""Settings come from the environment, and what is wrong is named as the operator wrote it."""

import msgspec
import pytest

from cli.main import main
from services.runtime.settings.environment import ServerSettings, SettingsError, load, shape_of
from services.runtime.settings.kinds import File, StoreUrl, Target


class Settings(ServerSettings, frozen=True, kw_only=True):
    """Settings of every shape in use."""

    region: str
    keeps: frozenset[str] = frozenset()
    weights: dict[str, str] = msgspec.field(default_factory=dict)
    page: int = 10


def test_every_shape_is_read():
    """Texts, numbers, lists and maps; blanks and empty pieces do not matter."""
    settings = load(
        Settings,
        {
            "HUTONG_REGION": "nation",
            "HUTONG_KEEPS": "110000, 310000,",
            "HUTONG_WEIGHTS": "110000=a:1, 310000=b:2",
            "HUTONG_PAGE": "25",
            "HUTONG_DRAIN_WAIT": "1.5",
            "PATH": "/bin",
        },
    )
    assert (
        Settings(
            region="nation",
            keeps=frozenset({"110000", "310000"}),
            weights={"110000": "a:1", "310000": "b:2"},
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
        ({"HUTONG_REGION": "nation", "HUTONG_WEIGHTS": "110000"}, "HUTONG_WEIGHTS"),
    ],
)
def test_what_is_wrong_is_named(environ, variable):
    """The operator reads the name of the variable, not that of a field."""
    with pytest.raises(SettingsError, match=variable):
        load(Settings, environ)


def test_a_default_needs_no_environment():
    """Every server setting has one."""
    assert ServerSettings() == load(ServerSettings, {})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HUTONG_DRAIN_GRASE", "did you mean HUTONG_DRAIN_GRACE?"),
        ("HUTONG_REDISURL", "did you mean HUTONG_REDIS_URL?"),
        ("HUTONG_PAGES", "did you mean HUTONG_PAGE?"),
        ("HUTONG_XYZZY", "see docs/settings.md"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest(name, meant):
    """A setting that nobody reads is worse than an error."""
    with pytest.raises(SettingsError) as refused:
        load(Settings, {"HUTONG_REGION": "nation", name: "1"})
    assert f"{name} is no setting; {meant}" == str(refused.value)


def test_one_environment_may_serve_all():
    """Names of other services, and what Kubernetes puts there for a Service called hutong-gateway."""
    environ = {
        "HUTONG_REGION": "nation",
        "HUTONG_REDIS_URL": "not this service's, so not looked at",
        "HUTONG_GATEWAY_SERVICE_HOST": "10.0.0.1",
        "HUTONG_GATEWAY_SERVICE_PORT_HTTP": "8080",
        "HUTONG_GATEWAY_PORT": "tcp://10.0.0.1:8080",
        "HUTONG_GATEWAY_PORT_8080_TCP_ADDR": "10.0.0.1",
    }
    assert Settings(region="nation") == load(Settings, environ)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DRAIN_WAIT", "nan", "expected at least 0, not nan"),
        ("DRAIN_WAIT", "inf", "expected at least 0, not inf"),
        ("DRAIN_WAIT", "", "expected a number, not ''"),
        ("TRACE_RATIO", "1.01", "expected at least 0 and at most 1, not 1.01"),
        ("LISTEN", "", "expected host:port, such as 127.0.0.1:7001, not ''"),
        ("LISTEN", "localhost:http", "expected host:port, such as 127.0.0.1:7001, not 'localhost:http'"),
        ("LISTEN", "localhost:65536", "there is no port 65536"),
        ("LISTEN", "http://localhost:80", "expected host:port, such as 127.0.0.1:7001, not 'http://localhost:80'"),
        ("MESH_SECRET", "short", "the mesh's secret needs at least 16 bytes"),
        ("OTLP_ENDPOINT", "https://", "begins with http:// or https://, and an address follows"),
        ("OTLP_ENDPOINT", "http://h:port", "its port is not a number up to 65535"),
        ("LOG_LEVEL", "info", "expected DEBUG, INFO, WARNING or ERROR, not 'info'"),
        ("WEIGHTS", "430000=", "expected key=value pairs, comma-separated, not '430000='"),
        ("WEIGHTS", "430000=a:1,430000=b:2", "430000 is given twice"),
    ],
)
def test_a_value_that_will_not_do_has_its_reason(variable, value, said):
    """One sentence, ready for who has to mend it."""
    with pytest.raises(SettingsError) as refused:
        load(Settings, {"HUTONG_REGION": "nation", f"HUTONG_{variable}": value})
    assert f"HUTONG_{variable}: {said}" == str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LISTEN", "[::]:7001"),
        ("LISTEN", ":7001"),
        ("LISTEN", "0.0.0.0:0"),
        ("OTLP_ENDPOINT", ""),
        ("OPERATIONS_LISTEN", ""),
        ("DRAIN_WAIT", " 2 "),
        ("OTLP_ENDPOINT", "https://user@collector:4317"),
    ],
)
def test_what_will_do_is_taken(variable, value):
    """An empty value stands for none where that is the default."""
    load(Settings, {"HUTONG_REGION": "nation", f"HUTONG_{variable}": value})


TARGETS = ["records:7001", "[::1]:7001", "dns:///records:7001", "unix:/run/records.sock", "xds:///records"]


@pytest.mark.parametrize(("target", "fits"), [*((one, True) for one in TARGETS), (":7001", False), ("records", False)])
def test_a_target_is_an_address_or_a_name_of_grpc(target, fits):
    """Unlike an address to listen on it needs a host."""
    _, kind = shape_of(Target)
    assert kind is not None
    assert fits == (kind.wrong(target) == "")


class WithFile(ServerSettings, frozen=True, kw_only=True):
    """Settings of which one may stand in a file."""

    store_url: StoreUrl
    store_url_file: File = ""


def test_a_value_may_stand_in_a_file(tmp_path):
    """Without the line's end; in the place of the variable, and never beside it."""
    path = tmp_path / "url"
    path.write_text("postgresql://user:word@host/database\n")
    settings = load(WithFile, {"HUTONG_STORE_URL_FILE": str(path), "HUTONG_STORE_URL": ""})
    assert "postgresql://user:word@host/database" == settings.store_url
    with pytest.raises(SettingsError, match="one of them is given"):
        load(WithFile, {"HUTONG_STORE_URL_FILE": str(path), "HUTONG_STORE_URL": "postgresql://host/x"})
    for content in (b"mysql://user:word@host/x", b"\xff word"):
        path.write_bytes(content)
        with pytest.raises(SettingsError) as refused:
            load(WithFile, {"HUTONG_STORE_URL_FILE": str(path)})
        assert str(refused.value).startswith("HUTONG_STORE_URL_FILE: ")
        assert "word" not in str(refused.value)


def test_a_command_takes_the_url_from_the_same_file(tmp_path, monkeypatch, capsys):
    """Where its command line gives none."""
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path}/lookup.db\n")
    monkeypatch.setenv("HUTONG_STORE_URL_FILE", str(tmp_path / "url"))
    assert 0 == main(["migrate", "lookup"])
    assert (tmp_path / "lookup.db").exists()
    assert 0 == main(["migrate", "lookup", "--store-url", f"sqlite:///{tmp_path}/other.db"])
    assert (tmp_path / "other.db").exists()
    monkeypatch.setenv("HUTONG_STORE_URL_FILE", "/nowhere/url")
    with pytest.raises(SystemExit) as ended:
        main(["migrate", "lookup"])
    assert 2 == ended.value.code
    assert "HUTONG_STORE_URL_FILE: /nowhere/url" in capsys.readouterr().err


def test_a_file_of_sqlite_lies_where_it_can_be_written(tmp_path):
    """Folders that are not there yet are made; what is no folder cannot hold one."""
    _, kind = shape_of(StoreUrl)
    assert kind is not None
    (tmp_path / "file").write_text("")
    assert "" == kind.wrong(f"sqlite:///{tmp_path}/new/records.db")
    assert f"{tmp_path / 'file'} is not a directory" == kind.wrong(f"sqlite:///{tmp_path}/file/records.db")
    assert "sqlite:/// is followed by the path of a file" == kind.wrong(f"sqlite:///{tmp_path}")
    assert "" == kind.wrong("postgresql://user:word@host/database")
    assert "word" not in kind.wrong("mysql://user:word@host/database")
