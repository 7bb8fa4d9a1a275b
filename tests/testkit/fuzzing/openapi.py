"""Schemathesis on the OpenAPI document of a running mesh, as a command: it makes up requests that the document allows
and ones that it forbids, and holds each answer against it."""

import json
import subprocess
import tempfile
from pathlib import Path

from tests.testkit.fuzzing.campaign import Findings
from tests.testkit.tools import tool

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
SECONDS = 3_000.0


def over_openapi(base_url: str, token: str, examples: int, findings: Findings) -> None:
    """Sends up to so many requests of each phase for each operation, with a token. Raises RuntimeError when
    schemathesis itself fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            tool("schemathesis"),
            "run",
            f"{base_url}/openapi.json",
            "--phases",
            "examples,fuzzing",
            "--no-color",
        ]
        command += ["--checks", ",".join(CHECKS), "-n", str(examples), "--continue-on-failure", "--no-shrink"]
        # Its workers are threads, and Python 3.11 does not compile in two of them at once.
        command += ["--workers", "1", "--report", "json", "--report-json-path", str(report)]
        command += ["--header", f"Authorization: Bearer {token}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
        if not report.exists():
            raise RuntimeError(
                f"schemathesis ended with {done.returncode}: {done.stdout[-2_000:]}{done.stderr[-2_000:]}"
            )
        told = json.loads(report.read_text(encoding="utf-8"))
    findings.inputs += told["test_cases"]["generated"]
    findings.outcomes["schemathesis"] += told["test_cases"]["generated"]
    for failure in (*told["failures"], *told["errors"]):
        findings.wrong.append(f"schemathesis: {json.dumps(failure)[:500]}")
    if done.returncode and not findings.wrong:
        findings.wrong.append(f"schemathesis ended with {done.returncode}: {done.stdout[-2_000:]}")
