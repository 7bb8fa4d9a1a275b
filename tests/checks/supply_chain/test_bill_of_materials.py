"""The bill of materials tells what is shipped, no more and no less, and what is installed fits together."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.testkit import licences_page
from tests.testkit.needs import missing
from tests.testkit.tools import ROOT, passes, run


def test_what_is_installed_fits_together():
    """`pip check` has nothing to say."""
    passes(sys.executable, "-m", "pip", "--disable-pip-version-check", "check")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_bill_is_what_is_shipped(tmp_path: Path):
    """`make sbom`: CycloneDX, each with its version and its licence; the stubs and what requirements.txt pins."""
    if not (ROOT / ".venv" / "bin" / "python").exists():
        missing("no .venv; make has one")
    done = run(ROOT / ".ci" / "sbom", tmp_path / "sbom.cdx.json")
    if done.returncode and "No matching distribution" in done.stdout:
        missing("no index to take the tool from")
    assert 0 == done.returncode, done.stdout
    bill = json.loads((tmp_path / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert ("CycloneDX", "hutong") == (bill["bomFormat"], bill["metadata"]["component"]["name"])
    told = {re.sub(r"[-_.]+", "-", one["name"]).lower(): one["version"] for one in bill["components"]}
    pinned = {
        re.sub(r"[-_.]+", "-", name).lower(): version
        for name, version, conditional in licences_page.pinned(licences_page.SHIPPED)
        if not conditional
    }
    assert pinned == {name: version for name, version in told.items() if name != "hutong-stubs"}
    assert "hutong-stubs" in told
    assert [] == [one["name"] for one in bill["components"] if not one.get("licenses")]
