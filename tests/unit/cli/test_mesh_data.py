"""The data directory, the endpoints, the ports and the settings of a mesh on one machine."""

import importlib
import json
import os
import socket

import msgspec
import pytest

from cli.mesh.data import SECRET_FILE, DataDirectoryError, locked, mesh_secret
from cli.mesh.directory import write_directory
from cli.mesh.endpoints import FILE_NAME, read_endpoints, remove_endpoints, write_endpoints
from cli.mesh.environment import MODULES, environment, settings
from cli.mesh.plan import HTTP, MOST_PORT, PORTS, REGIONS, SERVICES, Plan, kept_by_nation, ports_from
from cli.mesh.ports import first_taken, free_ports, is_free
from services.common.regions import NATION, divisions
from services.runtime.settings.environment import load
from tests.testkit.secret import SECRET

KINDS = {
    "services.records": ("services.records.settings", "Settings"),
    "services.lookup": ("services.lookup.settings", "Settings"),
    "services.verdict": ("services.verdict.settings", "Settings"),
    "gateway": ("gateway.settings", "GatewaySettings"),
}


@pytest.fixture
def plan(tmp_path):
    """A mesh at the default ports."""
    return Plan(tmp_path, SECRET, ports_from(8080))


def test_every_region_is_kept_in_one_place(plan):
    """The regions on the mesh keep their own records, and the nation those of all others."""
    kept = [code for store in (*REGIONS, NATION) for code in plan.keeps(store)]
    assert sorted(kept) == sorted(divisions())
    assert set(kept_by_nation()).isdisjoint(REGIONS)


def test_ports_are_where_the_help_says(plan):
    """Gateway +1, verdict +2, lookup +3, nation +10, regions from +11; the greatest still fits."""
    ports = {name: port - 8080 for name, port in plan.ports.items()}
    assert [ports[name] for name in ("http", "gateway", "verdict", "lookup", "nation")] == [0, 1, 2, 3, 10]
    assert [ports[region] for region in REGIONS] == list(range(11, 11 + len(REGIONS)))
    assert max(ports_from(MOST_PORT).values()) == 65_535


def test_free_ports_are_free_and_differ():
    """Free ports can be had at once, all of them."""
    ports = free_ports()
    assert set(ports) == set(PORTS)
    assert len(set(ports.values())) == len(PORTS)
    assert first_taken(ports) is None


def test_a_taken_port_is_found():
    """The first port somebody listens on is named."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert not is_free(port)
        assert first_taken(free_ports() | {HTTP: port}) == (HTTP, port)


def test_the_secret_is_made_once(tmp_path):
    """The second reading gives what the first made; its owner alone can read it."""
    secret = mesh_secret(tmp_path)
    assert len(secret) == 64
    assert mesh_secret(tmp_path) == secret
    assert (tmp_path / "mesh.secret").stat().st_mode & 0o777 == 0o600


def test_records_without_their_secret_are_not_opened(tmp_path):
    """A new secret would make everyone unknown: the directory is refused instead."""
    (tmp_path / "nation.db").touch()
    with pytest.raises(DataDirectoryError):
        mesh_secret(tmp_path)


def test_a_directory_is_locked_by_one(tmp_path):
    """While one mesh holds the directory, another is refused; afterwards it is free."""
    with locked(tmp_path / "data"), pytest.raises(DataDirectoryError), locked(tmp_path / "data"):
        pass
    with locked(tmp_path / "data"):
        pass


def test_a_directory_that_cannot_be_made_is_refused(tmp_path):
    """A path below a file is no directory."""
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryError), locked(tmp_path / "file" / "data"):
        pass


def test_endpoints_are_read_as_written(plan, tmp_path):
    """What a mesh publishes is found again; a region that is not on the mesh leads to the nation."""
    endpoints = plan.endpoints(os.getpid())
    write_endpoints(endpoints, tmp_path)
    found = read_endpoints(tmp_path)
    assert found == endpoints
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert endpoints.records_for("430000") == plan.address("430000")
    assert endpoints.records_for("650000") == plan.address(NATION)
    remove_endpoints(tmp_path)
    assert read_endpoints(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"http": 1}'])
def test_endpoints_that_make_no_sense_are_none(tmp_path, content):
    """A file that is not what a mesh writes means that none is running."""
    (tmp_path / FILE_NAME).write_text(content, encoding="utf-8")
    assert read_endpoints(tmp_path) is None


def test_endpoints_of_a_mesh_that_is_gone_are_none(plan, tmp_path):
    """A file left by a process that was killed does not lead anywhere."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    write_endpoints(plan.endpoints(pid), tmp_path)
    assert json.loads((tmp_path / FILE_NAME).read_text())["pid"] == pid
    assert read_endpoints(tmp_path) is None


@pytest.mark.parametrize("name", SERVICES)
def test_each_process_is_told_settings_it_has(plan, name):
    """Every variable a service's process gets is one of its settings, and together they load."""
    module, kind = KINDS[MODULES[name]]
    struct = getattr(importlib.import_module(module), kind)
    told = settings(plan, name)
    write_directory(plan)
    plan.signers.mkdir()
    (plan.data / SECRET_FILE).write_text(plan.secret)
    assert {key.lower() for key in told} - {field.name for field in msgspec.structs.fields(struct)} == set()
    loaded = load(struct, environment(plan, name))
    assert loaded.listen == plan.address(name)


def test_a_process_gets_no_settings_of_its_launcher(plan, monkeypatch):
    """A setting of the launcher that is not for everyone, such as its metrics port, is not handed on."""
    monkeypatch.setenv("HUTONG_OPERATIONS_LISTEN", "127.0.0.1:9")
    monkeypatch.setenv("HUTONG_LOG_LEVEL", "DEBUG")
    environ = environment(plan, "verdict")
    assert "HUTONG_OPERATIONS_LISTEN" not in environ
    assert environ["HUTONG_LOG_LEVEL"] == "DEBUG"
