"""The verdict service as a process of its own, with settings from the environment."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.lookup.v1.evidence_service_pb2 import Evidence
from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1 import policy_service_pb2, verdict_pb2, verdict_service_pb2
from hutong.verdict.v1.policy_service_pb2_grpc import PolicyServiceStub
from hutong.verdict.v1.verdict_service_pb2_grpc import VerdictServiceStub

from services.verdict.policy.files import DEFAULT_DIRECTORY
from tests.testkit.secret import SECRET

CALLER = [("hutong-caller", "test")]


def _spawn(repository: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.verdict"],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": f"{repository}:{repository / 'protos'}", **environment},
        stderr=subprocess.PIPE,
    )


def _port(process: subprocess.Popen[bytes]) -> int:
    assert process.stderr is not None
    for line in process.stderr:
        if b'"port": ' in line:
            return int(line.split(b'"port": ')[1].split(b"}")[0].split(b",")[0])
    raise AssertionError("the process ended without serving")


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A directory of policies to change."""
    shutil.copytree(DEFAULT_DIRECTORY, tmp_path / "policies")
    return tmp_path / "policies"


@pytest.fixture
def process(repository: Path, policies: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running verdict service whose lookup is not there."""
    running = _spawn(
        repository,
        HUTONG_MESH_SECRET=SECRET,
        HUTONG_LISTEN="127.0.0.1:0",
        HUTONG_LOOKUP="127.0.0.1:1",
        HUTONG_POLICIES=str(policies),
        HUTONG_POLICY_POLL="0.05",
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.kill()
        running.wait(10)
        assert running.stderr is not None
        running.stderr.close()


async def test_it_serves_from_its_own_command_and_ends_cleanly(process, policies: Path):
    """Evidence brought is judged, evidence to be looked up is an error, policies are reloaded, SIGTERM drains."""
    port = await asyncio.to_thread(_port, process)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        verdicts = VerdictServiceStub(channel)
        judged = await verdicts.EvaluateEvidence(
            verdict_service_pb2.EvaluateEvidenceRequest(
                judge=verdict_service_pb2.EvidenceToJudge(
                    evidence=Evidence(region="110000", scope=Scope.SCOPE_NATIONAL)
                ),
                purpose=Purpose.PURPOSE_SUPERVISION,
            ),
            metadata=CALLER,
            timeout=5,
        )
        assert judged.verdict.status == verdict_pb2.STATUS_NOT_RECOGNISED

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await verdicts.ComputeVerdict(
                verdict_service_pb2.ComputeVerdictRequest(
                    query=verdict_service_pb2.VerdictQuery(subject=Subject(person_key=b"k" * 16), region="110000"),
                    purpose=Purpose.PURPOSE_SHOW_CODE,
                ),
                metadata=CALLER,
                timeout=5,
            )
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE

        digests = policy_service_pb2.GetPolicyDigestsRequest()
        book = PolicyServiceStub(channel)
        before = (await book.GetPolicyDigests(digests, metadata=CALLER, timeout=5)).digests["430000"]
        text = (policies / "430000" / "2022-07-01.yaml").read_text(encoding="utf-8")
        (policies / "430000" / "2099-01-01.yaml").write_text(
            text.replace("2022-07-01T", "2099-01-01T"), encoding="utf-8"
        )
        for _ in range(100):
            after = (await book.GetPolicyDigests(digests, metadata=CALLER, timeout=5)).digests["430000"]
            if after != before:
                break
            await asyncio.sleep(0.05)
        assert after != before

        # What cannot be used is named, and takes nothing down.
        (policies / "430000" / "2099-01-01.yaml").write_text("region: [", encoding="utf-8")
        assert (await book.GetPolicyDigests(digests, metadata=CALLER, timeout=5)).digests["430000"] == after
        # Lookup was never reached, so this service does not count yet.
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 10) == 0


def test_it_refuses_to_start_without_a_secret(repository: Path):
    """The message names the variable; the status is 2."""
    done = subprocess.run(
        [sys.executable, "-m", "services.verdict"],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": f"{repository}:{repository / 'protos'}", "HUTONG_MESH_SECRET": "short"},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert b"HUTONG_MESH_SECRET" in done.stderr


def test_it_refuses_to_start_with_bad_policies(repository: Path, policies: Path):
    """There is no last good set yet."""
    (policies / "430000" / "2099-01-01.yaml").write_text("region: [", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "services.verdict"],
        cwd=repository,
        env={
            **os.environ,
            "PYTHONPATH": f"{repository}:{repository / 'protos'}",
            "HUTONG_MESH_SECRET": SECRET,
            "HUTONG_POLICIES": str(policies),
        },
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert b"2099-01-01.yaml:1: not YAML" in done.stderr
