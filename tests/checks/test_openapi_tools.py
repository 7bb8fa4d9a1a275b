"""The tools that clients use read the OpenAPI document: it lints clean, and its types take the README's own request.

They come from npm: this runs where EXAMPLES names node, as `.ci/run` does where Node is.
"""

import json
import os
import re
import shutil
import warnings
from pathlib import Path

import pytest

from gateway.http.openapi.document import document
from tests.testkit.tools import ROOT, passes, run

pytestmark = pytest.mark.timeout(400)

PACKAGES = ("openapi-typescript@7.13.0", "@redocly/cli@2.77.0", "@stoplight/spectral-cli@6.16.3", "typescript@5.9.3")
PROGRAM = """
import type { paths } from "./api";
type Asks = paths["/v1/healthCode:show"]["post"]["requestBody"]["content"]["application/json"];
export const body: Asks = %s;
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tools and the document."""
    named = os.environ.get("EXAMPLES", "").split(",")
    why = ""
    if not {"node", "all"} & set(named):
        why = "EXAMPLES=node runs them"
    elif shutil.which("npm") is None:
        why = "no npm on this machine"
    folder = tmp_path_factory.mktemp("openapi")
    if not why:
        (folder / "package.json").write_text('{"private": true}')
        done = run("npm", "install", "--silent", "--no-audit", "--no-fund", *PACKAGES, cwd=folder)
        why = "" if done.returncode == 0 else "npm cannot fetch them"
    if why:
        warnings.warn(f"redocly, spectral and openapi-typescript were not run: {why}", stacklevel=1)
        pytest.skip(why)
    (folder / "openapi.json").write_text(json.dumps(document(sample_people=True, sign_in=True)))
    return folder


def test_redocly_finds_nothing(folder: Path) -> None:
    """Its recommended rules, warnings included."""
    output = passes("npx", "redocly", "lint", "--extends=recommended", "--format=stylish", "openapi.json", cwd=folder)
    assert "You have" not in output, output


def test_spectral_finds_nothing(folder: Path) -> None:
    """Its rules for OpenAPI, warnings included."""
    (folder / ".spectral.yaml").write_text('extends: ["spectral:oas"]')
    passes("npx", "spectral", "lint", "--fail-severity=hint", "openapi.json", cwd=folder)


def test_the_readmes_own_request_is_of_the_type(folder: Path) -> None:
    """What has a default need not be given, and what does not exist cannot be."""
    written = re.search(r"-d '(\{\"document\".*?\})'", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert written is not None
    passes("npx", "openapi-typescript", "openapi.json", "-o", "api.ts", cwd=folder)
    for body, accepted in ((written[1], True), (written[1].replace('"region"', '"district"'), False)):
        (folder / "check.ts").write_text(PROGRAM % body)
        done = run("npx", "tsc", "--noEmit", "--strict", "--skipLibCheck", "check.ts", cwd=folder)
        assert accepted == (done.returncode == 0), done.stdout
