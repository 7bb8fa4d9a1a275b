"""The published vectors of EU digital covid certificates: each is refused at the stage that it names, or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.trust import Trust, signer_of
from services.certificates.verification import verify
from tests.testkit.certificates import VECTORS, clock

pytestmark = pytest.mark.skipif(not VECTORS, reason="the published vectors are not on this machine")

STAGES = {
    Reason.PREFIX_UNKNOWN: "EXPECTEDUNPREFIX",
    Reason.BASE45_MALFORMED: "EXPECTEDB45DECODE",
    Reason.COMPRESSION_MALFORMED: "EXPECTEDCOMPRESSION",
    Reason.CBOR_MALFORMED: "EXPECTEDDECODE",
    Reason.CLAIMS_MALFORMED: "EXPECTEDDECODE",
    Reason.SIGNER_UNKNOWN: "EXPECTEDVERIFY",
    Reason.SIGNATURE_WRONG: "EXPECTEDVERIFY",
    Reason.NOT_YET_VALID: "EXPECTEDEXPIRATIONCHECK",
    Reason.EXPIRED: "EXPECTEDEXPIRATIONCHECK",
    Reason.KEY_USAGE_WRONG: "EXPECTEDKEYUSAGE",
    Reason.SCHEMA_VIOLATED: "EXPECTEDSCHEMAVALIDATION",
}


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_vector_is_judged_as_its_stages_say(path: Path):
    """A stage that must fail is the one that refuses; where none must, the contents are those that the vector gives."""
    vector: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    context, expected = vector["TESTCTX"], vector["EXPECTEDRESULTS"]
    failing = {stage for stage, passes in expected.items() if not passes}
    trust = Trust([signer_of(context["CERTIFICATE"])])
    at = clock(context["VALIDATIONCLOCK"])
    if failing:
        with pytest.raises(CertificateRefused) as refused:
            verify(vector["PREFIX"], trust, at)
        assert STAGES[refused.value.reason] in failing
        return
    verified = verify(vector["PREFIX"], trust, at)
    if vector.get("JSON", {}).get("t"):
        assert verified.contents.t is not None
        assert vector["JSON"]["t"][0]["ci"] == verified.contents.t[0].ci
