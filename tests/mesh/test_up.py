"""`hutong up`: it answers, it ends, it knows everything when it starts again."""

import asyncio
import os
import re
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from cli.mesh.endpoints import FILE_NAME, read_endpoints
from cli.samples.people import PEOPLE
from tests.testkit.servers.hutong_up import child_environment, run_cli, running
from tests.testkit.servers.redis import RedisServer

HUNAN = {"type": "RESIDENT_ID", "number": PEOPLE[0].number}


async def test_it_answers_ends_and_still_knows(tmp_path, way):
    """A sample person's code is shown; Ctrl-C ends everything with status 0; a claim made before outlasts it."""
    data = tmp_path / "data"
    async with running(data, *way) as up:
        first = await up.show(HUNAN, "110000")
        assert first["status"] == "RECOGNISED"
        assert first.get("daysSinceTest") is None
        async with httpx.AsyncClient(base_url=up.endpoints.http) as client:
            claimed = await client.post("/v1/results:claim", json={"document": HUNAN, "region": "110000"})
            assert claimed.json()["created"] is True
        assert await up.end() == (0, "互通已结束，数据已保存 / hutong has ended; its data is kept\n", "")
        assert read_endpoints(data) is None
    async with running(data, *way, "--no-samples") as up:
        again = await up.show(HUNAN, "110000")
        assert again["status"] == "RECOGNISED"
        assert again["daysSinceTest"] is not None
        assert (await up.end(signal.SIGTERM))[0] == 0


async def test_the_printed_commands_work_as_printed(tmp_path, way, repository):
    """Each of the three commands runs in a shell, just as it was printed, and does what its comment says."""
    async with running(tmp_path / "data", *way, cwd=repository) as up:
        tries = up.printed.partition("try:")[2].splitlines()
        commands = [line.strip() for line in tries if line.startswith("  ") and not line.startswith("  #")]
        assert len(commands) == 3
        outputs = []
        for command in commands:
            process = await asyncio.create_subprocess_shell(
                command, stdout=asyncio.subprocess.PIPE, env=child_environment(), cwd=repository
            )
            out, _ = await asyncio.wait_for(process.communicate(), 30)
            assert process.returncode == 0, command
            outputs.append(out.decode())
        assert '"status":"RECOGNISED"' in outputs[0].replace(" ", "")
        assert "40  此前已入库" in outputs[1]
        assert "长三角" in outputs[2]


async def test_it_says_where_to_look(tmp_path, way):
    """The page, the documentation, the sample people and what operators ask are where the printed text says."""
    async with running(tmp_path / "data", *way) as up:
        links = re.findall(r"http://[^\s,]+", up.printed.partition("try:")[0])
        assert len(links) == 5
        async with httpx.AsyncClient() as client:
            assert [(await client.get(link)).status_code for link in links] == [200] * 5
            people = (await client.get(f"{up.endpoints.http}/v1/samplePeople")).json()
        assert [person["document"]["number"] for person in people["people"]] == [one.number for one in PEOPLE]


async def test_codes_are_cached_in_redis_when_there_is_one(tmp_path: Path, redis_server: RedisServer, way):
    """With --redis, a further showing comes from the cache there, and no document number is in it."""
    async with running(tmp_path / "data", *way, "--redis", redis_server.url) as up:
        # Elsewhere than where the sample people are shown when the mesh starts.
        assert (await up.show(HUNAN, "310000"))["freshness"] == "COMPUTED"
        # A code that is computed while there is news of its sources is not kept: the first may be one.
        async with asyncio.timeout(20):
            while (await up.show(HUNAN, "310000"))["freshness"] != "CACHED":
                await asyncio.sleep(0.1)
        held = redis_server.everything()
    assert b"310000" in held
    assert HUNAN["number"].encode() not in held


async def test_starting_twice_doubles_nothing(tmp_path):
    """Sample people and files are there once, however often the mesh starts within the hour."""
    data = tmp_path / "data"
    person = {"type": "RESIDENT_ID", "number": PEOPLE[1].number}
    found = []
    for _ in range(2):
        async with running(data) as up, httpx.AsyncClient(base_url=up.endpoints.http) as client:
            results = (await client.post("/v1/results:list", json={"document": person})).json()["results"]
            found.append({result["record"]["sourceId"] for result in results})
            assert len(results) == len(found[-1])
    # An hour may turn between the two starts; then the second adds records of its own.
    assert found[0] <= found[1]
    assert len(found[1]) <= 2


async def test_a_taken_port_is_one_clear_line(tmp_path):
    """A port that is taken ends the command at once with status 2 and one line that names it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        status, out, err = await run_cli("up", "--port", str(port - 3), "--data", str(tmp_path / "data"))
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert str(port) in err or "taken" in err


async def test_a_data_directory_is_used_by_one_mesh_at_a_time(tmp_path):
    """A second mesh on the same data is refused, and the first one goes on."""
    data = tmp_path / "data"
    async with running(data, "--no-samples") as up:
        status, _, err = await run_cli("up", "--port", "0", "--data", str(data))
        assert (status, len(err.splitlines())) == (2, 1)
        assert read_endpoints(data) == up.endpoints


async def test_the_secret_is_made_once_and_kept_from_others(tmp_path):
    """The mesh's secret has mode 0600 and stays; without it, existing records are not opened under a new one."""
    data = tmp_path / "data"
    async with running(data, "--no-samples"):
        secret = (data / "mesh.secret").read_bytes()
        assert (data / "mesh.secret").stat().st_mode & 0o777 == 0o600
    async with running(data, "--no-samples"):
        assert (data / "mesh.secret").read_bytes() == secret
    (data / "mesh.secret").unlink()
    status, _, err = await run_cli("up", "--port", "0", "--data", str(data))
    assert status == 2
    assert "mesh.secret" in err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["up", "--port", "65535"], 2),
        (["up", "--policies", "/nonexistent"], 2),
        (["up", "--data", "/dev/null/x"], 2),
        ([], 2),
        (["import", "/nonexistent.csv", "--region", "430000", "--lab", "a", "--to", "127.0.0.1:1"], 2),
        (["import", "x.csv", "--region", "999999", "--lab", "a", "--to", "127.0.0.1:1"], 2),
        (["import", "x.csv", "--region", "430000", "--lab", "A B", "--to", "127.0.0.1:1"], 2),
        (["import", "x.csv", "--region", "430000", "--lab", "a", "--site", "x", "--to", "127.0.0.1:1"], 2),
        (["import", "x.csv", "--region", "430000", "--lab", "a", "--data", "/nonexistent"], 4),
    ],
)
async def test_a_wrong_command_line_is_said_in_so_many_words(tmp_path, arguments, status):
    """A wrong argument ends with status 2 (4 where no mesh is running) and a text, never with a traceback."""
    found, _, err = await run_cli(*arguments, cwd=tmp_path)
    assert found == status, err
    assert "Traceback" not in err
    assert err.strip()


async def test_broken_policies_do_not_start(tmp_path):
    """Policies that cannot be loaded end the start with the file and what is wrong with it."""
    policies = tmp_path / "policies" / "310000"
    policies.mkdir(parents=True)
    (policies / "broken.yaml").write_text("region: [", encoding="utf-8")
    status, _, err = await run_cli(
        "up", "--port", "0", "--data", str(tmp_path / "data"), "--policies", str(policies.parent)
    )
    assert status == 2
    assert "broken.yaml" in err
    assert "Traceback" not in err


async def test_a_process_that_dies_is_reported_and_comes_back(tmp_path):
    """With a process per service, one that is killed is named on the terminal and started again on its address."""
    data = tmp_path / "data"
    async with running(data, "--mesh") as up:
        (pid,) = _pids_with(up.process.pid, f"HUTONG_LISTEN={up.endpoints.verdict}")
        os.kill(pid, signal.SIGKILL)
        assert up.process.stderr is not None
        told = (await asyncio.wait_for(up.process.stderr.readline(), 10)).decode()
        assert "verdict" in told
        for _ in range(200):
            found = _pids_with(up.process.pid, f"HUTONG_LISTEN={up.endpoints.verdict}")
            if found and found != [pid]:
                break
            await asyncio.sleep(0.05)
        async with httpx.AsyncClient(base_url=up.endpoints.http, timeout=10) as client:
            body = {"document": HUNAN, "region": "110000", "refresh": True}
            statuses = []
            for _ in range(100):
                statuses.append((await client.post("/v1/healthCode:show", json=body)).status_code)
                if statuses[-1] == 200:
                    break
                await asyncio.sleep(0.1)
        assert statuses[-1] == 200, statuses
        assert (await up.end())[0] == 0


def _pids_with(parent: int, setting: str) -> list[int]:
    """The children of a process that have this in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                ours = int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent
                if ours and setting.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except (OSError, ValueError):
                continue
    return found


async def test_all_processes_end_with_the_mesh(tmp_path):
    """After Ctrl-C no process of the mesh is left, and the endpoints are gone."""
    async with running(tmp_path / "data", "--mesh", "--no-samples") as up:
        addresses = [up.endpoints.gateway, up.endpoints.lookup, *up.endpoints.records.values()]
        assert (await up.end())[0] == 0
        for address in addresses:
            host, _, port = address.rpartition(":")
            with socket.socket() as probe:
                assert probe.connect_ex((host, int(port))) != 0
        assert not (up.data / FILE_NAME).exists()


@pytest.mark.parametrize("moment", [0.2, 0.6, 1.2])
async def test_ctrl_c_while_it_starts_is_a_clean_end(tmp_path, way, moment):
    """Whenever Ctrl-C comes, the mesh ends with status 0, no traceback, and no process left behind."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "up", "--port", "0", "--data", str(tmp_path / "data"), *way),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=child_environment(),
    )
    # From when the handlers are there: before that, Ctrl-C ends Python itself.
    async with asyncio.timeout(10):
        while not (tmp_path / "data" / FILE_NAME).exists():
            await asyncio.sleep(0.01)
    await asyncio.sleep(moment - 0.2)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err.decode()) == (0, "")


async def test_spans_go_where_the_environment_says(tmp_path, otlp, monkeypatch, way):
    """With HUTONG_OTLP_ENDPOINT, a showing is traced through the services, however they run."""
    monkeypatch.setenv("HUTONG_OTLP_ENDPOINT", otlp.endpoint)
    monkeypatch.setenv("HUTONG_TRACE_RATIO", "1")
    async with running(tmp_path / "data", *way) as up:
        await up.show(HUNAN, "110000")
        assert (await up.end())[0] == 0
    assert {"gateway", "verdict", "lookup"} <= {span.service for span in otlp.spans}


def children(pid: int) -> list[int]:
    """Returns the processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state(pid: int) -> str:
    """Returns the state letter of a process, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


async def ended(pids: list[int]) -> None:
    """Waits until processes have ended, 20 seconds at most."""
    async with asyncio.timeout(20):
        while any(state(pid) not in ("", "Z") for pid in pids):
            await asyncio.sleep(0.05)


@pytest.mark.mesh
async def test_a_mesh_whose_launcher_is_killed_ends_and_keeps_others_out_until_it_has(tmp_path):
    """Nothing goes on unseen on the same files: the services end with the launcher, and one that cannot yet, here
    because it is stopped, keeps the next mesh out."""
    data = tmp_path / "data"
    async with running(data, "--mesh", "--no-samples") as up:
        services = children(up.process.pid)
        assert len(services) > 10
        slow, *others = services
        os.kill(slow, signal.SIGSTOP)
        up.process.kill()
        await up.process.wait()
        await ended(others)
        status, _, said = await run_cli("up", "--port", "0", "--data", str(data), "--no-samples")
        assert (2, True) == (status, "Another mesh is running" in said)
        os.kill(slow, signal.SIGCONT)
        await ended([slow])
    async with running(data, "--no-samples") as up:
        assert 0 == (await up.end())[0]
