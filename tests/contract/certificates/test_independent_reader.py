"""Certificates are read, whole, by a program that shares no code with this tree: the JavaScript SDK of PathCheck.

It runs where HCERT_READER names a folder with it, since it brings 350 MB along:
`npm install --ignore-scripts @pathcheck/dcc-sdk@0.0.27` makes one.
"""

import json
import os
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.certificates.signers import write_signer
from services.certificates.issuing import Holder, Result, issue
from services.certificates.trust import signer_of

READER = Path(__file__).with_name("reader.cjs")
FOLDER = os.environ.get("HCERT_READER", "")
HOLDERS = [
    Holder("LIN", "XIAOLAN", date(1990, 6, 15), "林晓岚"),
    Holder("OUYANG", "NANA", None, "欧阳娜娜"),
    Holder("SUKARNO", "", date(1950, 1, 1)),
]


def read(signer: Path, *texts: str) -> list[dict[str, Any]]:
    """Returns what the SDK makes of texts, believing one signer."""
    done = subprocess.run(
        ["node", str(READER), FOLDER, str(signer), *texts], capture_output=True, text=True, timeout=120, check=False
    )
    assert 0 == done.returncode, done.stderr[-500:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(not FOLDER or shutil.which("node") is None, reason="HCERT_READER names no folder of the SDK")
@pytest.mark.timeout(180)
def test_the_whole_of_a_certificate_is_read_and_a_forged_one_is_not(tmp_path: Path) -> None:
    """From the text to the signature and the test, for every shape of name; one letter that is another is noticed."""
    now = datetime.now(UTC).replace(microsecond=0)
    signer, key = write_signer(tmp_path, "430000", now)
    identifier = "URN:UVCI:01:CN:430000/ABC"
    texts = [
        issue(
            holder,
            Result(
                now - timedelta(hours=5),
                positive=number == 1,
                laboratory="湘雅",
                issuer="湖南省",
                identifier=identifier,
            ),
            signer=signer_of(signer.read_bytes()),
            key=key.read_bytes(),
            issued_at=now,
            valid_for=timedelta(days=7),
        )
        for number, holder in enumerate(HOLDERS)
    ]
    for number, (holder, one) in enumerate(zip(HOLDERS, read(signer, *texts), strict=True)):
        assert ("verified", "CN") == (one["status"], one["issuer"])
        name, (test,) = one["read"]["nam"], one["read"]["t"]
        assert (holder.surname, holder.given_name) == (name["fnt"], name.get("gnt", ""))
        assert holder.written_name == name.get("fn", "")
        assert (holder.born.isoformat() if holder.born else "") == one["read"]["dob"]
        assert ("840539006", "湘雅", identifier) == (test["tg"], test["tc"], test["ci"])
        assert ("260373001" if number == 1 else "260415000") == test["tr"]
        assert now - timedelta(hours=5) == datetime.fromisoformat(test["sc"])
    stranger, _ = write_signer(tmp_path / "stranger", "430000", now)
    assert "verified" not in {one["status"] for one in read(stranger, *texts)}
    place = len(texts[0]) // 2
    forged = texts[0][:place] + ("A" if texts[0][place] != "A" else "B") + texts[0][place + 1 :]
    (damaged,) = read(signer, forged)
    assert "verified" != damaged["status"]
