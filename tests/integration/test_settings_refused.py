"""A process that cannot start as it was told ends with status 2 and one sentence that names what to mend."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from tests.testkit.directories import directory_file
from tests.testkit.secret import SECRET
from tests.testkit.tools import ROOT

OWN = {
    "services.records": {"REGION": "430000", "STORE_URL": "sqlite:///{tmp}/records.db", "STORE_MIGRATE": "true"},
    "services.lookup": {"STORE_URL": "sqlite:///{tmp}/lookup.db", "STORE_MIGRATE": "true"},
    "services.verdict": {},
    "gateway": {"HTTP_LISTEN": "127.0.0.1:0", "DIRECTORY": "{tmp}/directory.yml"},
}

WRONG: list[tuple[str, dict[str, str | None], str]] = [
    ("services.records", {"STORE_URL": None}, "HUTONG_STORE_URL is missing"),
    ("services.lookup", {"STORE_URL": None}, "HUTONG_STORE_URL is missing"),
    ("services.records", {"STORE_URL": None, "STORE_URL_FILE": "{tmp}/no"}, "HUTONG_STORE_URL_FILE: {tmp}/no: No"),
    (
        "services.records",
        {"STORE_URL": None, "STORE_URL_FILE": "{tmp}/url"},
        "HUTONG_STORE_URL_FILE: begins with sql",
    ),
    ("services.lookup", {"STORE_URL_FILE": "{tmp}/url"}, "HUTONG_STORE_URL and HUTONG_STORE_URL_FILE: one of them is"),
    ("gateway", {"REDIS_URL_FILE": "{tmp}/url"}, "HUTONG_REDIS_URL_FILE: begins with redis://"),
    ("services.records", {"LOG_LEVEL": "LOUD"}, "HUTONG_LOG_LEVEL: expected DEBUG, INFO, WARNING or ERROR, not 'LOUD'"),
    ("services.records", {"LISTEN": "127.0.0.1"}, "HUTONG_LISTEN: expected host:port"),
    ("services.records", {"STORE_URL": "sqlite:////dev/null/records.db"}, "HUTONG_STORE_URL: /dev/null is not a dir"),
    ("services.records", {"REGION": "999999"}, "HUTONG_REGION: '999999' is neither"),
    ("services.records", {"MESH_SECRET": ""}, "HUTONG_MESH_SECRET"),
    ("services.records", {"DIRECTRY": "d.yaml"}, "HUTONG_DIRECTRY is no setting; did you mean HUTONG_DIRECTORY?"),
    ("services.lookup", {"DRAIN_GRACE": "-1"}, "HUTONG_DRAIN_GRACE: expected at least 0, not -1"),
    ("services.lookup", {"DIRECTORY": "{tmp}/nowhere.yaml"}, "HUTONG_DIRECTORY: there is no file {tmp}/nowhere.yaml"),
    ("services.lookup", {"DIRECTORY": "{tmp}/people.json"}, "HUTONG_DIRECTORY: {tmp}/people.json: "),
    ("gateway", {"DIRECTORY": ""}, "HUTONG_DIRECTORY: without the nation's records"),
    (
        "services.lookup",
        {"STORE_URL": "mysql://me:word@h/db"},
        "HUTONG_STORE_URL: begins with sqlite:/// or postgresql",
    ),
    ("services.lookup", {"OPERATIONS_LISTEN": "{taken}"}, "HUTONG_OPERATIONS_LISTEN: lookup: cannot listen on {taken}"),
    ("services.lookup", {"LISTEN": "{taken}"}, "HUTONG_LISTEN: lookup: cannot listen on {taken}; is the port taken?"),
    ("services.verdict", {"POLICIES": "{tmp}/nowhere"}, "HUTONG_POLICIES: there is no directory {tmp}/nowhere"),
    ("services.verdict", {"POLICIES": "{tmp}"}, "HUTONG_POLICIES: no policies, *.yaml, in {tmp}"),
    ("services.verdict", {"OTLP_ENDPOINT": "collector:4317"}, "HUTONG_OTLP_ENDPOINT: begins with http:// or https://"),
    ("gateway", {"HTTP_LISTEN": "nowhere.invalid:1"}, "HUTONG_HTTP_LISTEN: http: cannot listen on nowhere.invalid:1"),
    ("gateway", {"REDIS_URL": "cache:6379"}, "HUTONG_REDIS_URL: begins with redis://"),
    ("gateway", {"NEWS_SECONDS": "6"}, "HUTONG_NEWS_SECONDS: expected more than 0 and at most 5, not 6"),
    ("gateway", {"SAMPLE_PEOPLE": "{tmp}/people.json"}, "HUTONG_SAMPLE_PEOPLE: "),
]


@pytest.mark.parametrize(("module", "variables", "said"), WRONG, ids=[f"{m} {next(iter(v))}" for m, v, _ in WRONG])
async def test_a_wrong_setting_ends_in_a_sentence(module, variables, said, tmp_path: Path):
    """No traceback, no secret, nothing served."""
    (tmp_path / "people.json").write_text("{")
    (tmp_path / "url").write_text("mysql://me:word@h/db")
    directory_file(tmp_path / "directory.yml", {"nation": "127.0.0.1:1"})
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        places = {"tmp": str(tmp_path), "taken": f"127.0.0.1:{held.getsockname()[1]}"}
        asked = {"LISTEN": "127.0.0.1:0", "MESH_SECRET": SECRET} | OWN[module] | variables
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module),
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}"}
            | {f"HUTONG_{name}": value.format(**places) for name, value in asked.items() if value is not None},
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(30):
                error = (await process.stderr.read()).decode()
                status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
    sentence = f"hutong {module.removeprefix('services.')}: {said.format(**places)}"
    last = error.splitlines()[-1]
    assert (2, True) == (status, last.startswith(sentence)), error
    assert not any(word in error for word in ("Traceback", SECRET, "me:word"))
    assert not (tmp_path / "records.db").exists()
