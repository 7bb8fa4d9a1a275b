"""Every gate, in Python and in JavaScript, gives the same answer to the same passes, with the same keys and clock."""

import base64
import json
import shutil
import subprocess
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import base45
import pytest
import segno
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.certificates.passes.bundle import Bundle, PassKey, VoidInterval
from services.certificates.passes.contents import (
    Pass,
    RestsOn,
    issue_pass,
    laboratory_digest,
    record_digest,
)
from services.certificates.passes.gate import Gate, GateRules
from services.certificates.refusals import CertificateRefused
from tests.testkit.needs import missing
from tests.testkit.tools import ROOT

NOW = datetime(2022, 8, 5, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
METRO, HOSPITAL = 9, 1
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
KEY, ROOT_KEY, NEXT_ROOT = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
GROUND = RestsOn(record_digest("430000", "S-1"), laboratory_digest("LAB-1"), NOW - 8 * HOUR)
PASS = Pass(
    region="310000", scene=METRO, word=1, colour=1, until=NOW + 40 * HOUR, initials="王*明", born="01-02",
    rests_on=(GROUND,), nonce=b"12345678", issued_at=NOW, expires_at=NOW + HOUR / 20,
)  # fmt: skip
SHOWN = {
    "region": "310000", "scene": METRO, "word": 1, "colour": 1, "until": int((NOW + 40 * HOUR).timestamp()),
    "initials": "王*明", "born": "01-02",
}  # fmt: skip


def pem(key: Key) -> bytes:
    """Returns a private key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pass_key(key: Key = KEY, region: str = "310000", *, begins: datetime = NOW - HOUR) -> PassKey:
    """Returns the public half, in force for a day."""
    return PassKey(region, key.public_key(), begins, begins + 24 * HOUR)


BUNDLE = Bundle(7, 0, NOW - HOUR, (pass_key(),), frozenset(), ())
TOPS = [pass_key(ROOT_KEY), pass_key(NEXT_ROOT)]


def text(contents: Pass = PASS, key: Key = KEY, by: PassKey | None = None) -> str:
    """Returns a pass as it is scanned."""
    return issue_pass(contents, pem(key), by or pass_key(key))


@dataclass(frozen=True)
class Take:
    """A bundle is given to the gate, signed by a root."""

    bundle: Bundle
    key: Key = ROOT_KEY

    def encoded(self) -> bytes:
        """Returns its bytes."""
        return self.bundle.encoded(pem(self.key), pass_key(self.key))


@dataclass(frozen=True)
class Check:
    """A text is shown at the gate's clock."""

    text: str
    at: datetime = NOW


@dataclass(frozen=True)
class At:
    """The gate stands in a scene; METRO where it is not said."""

    scene: int


Steps = Sequence[Take | Check | At]
Run = Callable[[Steps], list[Any]]


def in_python(steps: Steps) -> list[Any]:
    """Returns the answers of the Python gate."""
    tops = [one.encoded for one in TOPS]
    gate = Gate(GateRules("310000", METRO), roots=tops)
    answers: list[Any] = []
    for step in steps:
        try:
            if isinstance(step, At):
                gate = Gate(GateRules("310000", step.scene), roots=tops)
            elif isinstance(step, Take):
                gate.take_signed(step.encoded())
                answers.append("taken")
            else:
                passed = gate.check(step.text, step.at)
                until = None if passed.until is None else int(passed.until.timestamp())
                shown = {name: getattr(passed, name) for name in SHOWN if name != "until"}
                answers.append(shown | {"until": until})
        except CertificateRefused as refused:
            answers.append(refused.reason)
    return answers


def in_javascript(steps: Steps) -> list[Any]:
    """Returns the answers of the page's gate, in Node."""
    node = shutil.which("node")
    if node is None:
        missing("node is not on this machine: the JavaScript gate")
    (scene,) = [step.scene for step in steps if isinstance(step, At)] or [METRO]
    roots = [base64.b64encode(one.encoded).decode() for one in TOPS]
    lines: list[dict[str, Any]] = [{"rules": {"region": "310000", "scene": scene, "roots": roots}}]
    for step in steps:
        if isinstance(step, At):
            continue
        if isinstance(step, Take):
            lines.append({"take": base64.b64encode(step.encoded()).decode()})
        else:
            lines.append({"check": step.text, "at": step.at.timestamp()})
    program = [node, str(ROOT / "tests/contract/certificates/gate.mjs"), str(ROOT / "gateway/pages/parts/gate.mjs")]
    done = subprocess.run(
        program, input="\n".join(map(json.dumps, lines)), capture_output=True, text=True, timeout=60, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()][1:]


@pytest.fixture(params=[in_python, in_javascript], ids=["python", "javascript"])
def run(request: pytest.FixtureRequest) -> Run:
    """Returns what takes the steps at one gate and gives its answers."""
    gate: Run = request.param
    return gate


def after(shown: str, at: datetime = NOW, bundle: Bundle = BUNDLE) -> Steps:
    """Returns the steps of a gate with a bundle that is shown a text."""
    return [Take(bundle), Check(shown, at)]


def altered() -> str:
    """Returns a pass whose colour was changed from red to green under its signature."""
    red = text(replace(PASS, colour=4, word=4))
    signed = zlib.decompress(base45.b45decode(red[4:]))
    changed = signed.replace(b"\x03\x04\x04\x04", b"\x03\x01\x04\x01")
    assert changed != signed
    encoded: bytes = base45.b45encode(zlib.compress(changed))
    return "HC1:" + encoded.decode()


OTHER = ec.generate_private_key(ec.SECP256R1())
REFUSED = {
    "SIGNER_UNKNOWN": after(text(key=OTHER)),
    "SIGNATURE_WRONG": after(altered()),
    "PREFIX_UNKNOWN": after("https://example.org/"),
    "BASE45_MALFORMED": after("HC1:abc"),
    "COMPRESSION_MALFORMED": after("HC1:" + base45.b45encode(b"x" * 50).decode()),
    "CERTIFICATE_TOO_LARGE": after("HC1:" + base45.b45encode(zlib.compress(bytes(1_000_000))).decode()),
    "CBOR_MALFORMED": after("HC1:" + base45.b45encode(zlib.compress(b"\x83\x01\x02\x03")).decode()),
    "EXPIRED": after(text(), NOW + HOUR),
    "NOT_YET_VALID": after(text(), NOW - HOUR / 10),
    "SIGNER_NOT_IN_FORCE": after(text(), bundle=replace(BUNDLE, keys=(pass_key(begins=NOW - 48 * HOUR),))),
    "ISSUER_WRONG": after(text(replace(PASS, region="430000"))),
    "OTHER_REGION": after(
        text(replace(PASS, region="430000"), OTHER, pass_key(OTHER, "430000")),
        bundle=replace(BUNDLE, keys=(pass_key(OTHER, "430000"),)),
    ),
    "OTHER_SCENE": after(text(replace(PASS, scene=HOSPITAL))),
    "SCENE_MISSING": after(text(replace(PASS, scene=0))),
    "REVOKED": after(text(), bundle=replace(BUNDLE, void_records=frozenset([GROUND.record]))),
    "KEYS_MISSING": [Check(text())],
    "KEYS_TOO_OLD": after(text(), NOW + timedelta(days=4)),
    "CLOCK_OFF": after(text(), NOW - 3 * HOUR),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_gate_fails_closed_and_says_which(run, reason):
    """Each fault of a pass, of the keys and of the clock has its own reason."""
    assert reason == run(REFUSED[reason])[-1]


@pytest.mark.parametrize(
    "key",
    [KEY, rsa.generate_private_key(65_537, 2_048), ed25519.Ed25519PrivateKey.generate()],
    ids=["ES256", "PS256", "Ed25519"],
)
def test_a_pass_is_believed_with_keys_alone(run, key):
    """Whatever its algorithm, the gate reads what was signed."""
    assert [
        "taken",
        SHOWN,
    ] == run([Take(replace(BUNDLE, keys=(pass_key(key),))), Check(text(key=key))])


def test_a_pass_without_an_end(run):
    """No time ends a pass without conditions."""
    assert SHOWN | {"until": None} == run(after(text(replace(PASS, until=None, rests_on=()))))[-1]


def test_a_pass_of_the_code_itself_is_for_places_of_no_kind(run):
    """A gate of such a place takes it, and no pass that was judged for a kind of place."""
    general = text(replace(PASS, scene=0))
    answers = run([At(0), Take(BUNDLE), Check(general), Check(text())])
    assert ["taken", SHOWN | {"scene": 0}, "OTHER_SCENE"] == answers


def test_keys_overlap_when_they_change(run):
    """While both are in force passes of the old key and of the new one are believed; each ends when it ends."""
    old, new = pass_key(begins=NOW - 23 * HOUR), pass_key(OTHER, begins=NOW - HOUR)
    both = [Take(replace(BUNDLE, keys=(old, new)))]
    later = replace(PASS, issued_at=NOW + 2 * HOUR, expires_at=NOW + 2.05 * HOUR, nonce=b"later---")
    shown = [Check(text()), Check(text(replace(PASS, nonce=b"another-"), OTHER))]
    ended = [Check(text(later), later.issued_at), Check(text(later, OTHER), later.issued_at)]
    assert ["taken", SHOWN, SHOWN, "SIGNER_NOT_IN_FORCE", SHOWN] == run([*both, *shown, *ended])


def test_roots_overlap_when_they_change(run):
    """A gate that was given the next root beforehand takes bundles of both."""
    next_ = Take(replace(BUNDLE, number=8), NEXT_ROOT)
    assert ["taken", "taken", SHOWN] == run([Take(BUNDLE), next_, Check(text())])


def test_a_test_certificate_is_no_pass(run):
    """Even when the very key that signs passes signed it."""
    from services.certificates.claims import Claims
    from services.certificates.envelope import wrapped
    from services.certificates.signature import signed_bytes

    claims = Claims("CN", NOW, NOW + HOUR, {"ver": "1.3.3"}).encoded()
    assert "NO_PASS" == run(after(wrapped(signed_bytes(claims, pem(KEY), pass_key()))))[-1]


def test_a_laboratorys_interval_is_one_line(run):
    """It voids what was sampled in it, the beginning included, and nothing else."""
    laboratory, sampled = GROUND.laboratory, GROUND.sampled_at
    for interval, answer in (
        (VoidInterval(laboratory, sampled, sampled + HOUR), "REVOKED"),
        (VoidInterval(laboratory, sampled - HOUR, sampled), SHOWN),
        (VoidInterval(laboratory_digest("LAB-2"), sampled - HOUR, sampled + HOUR), SHOWN),
    ):
        assert answer == run(after(text(), bundle=replace(BUNDLE, void_intervals=(interval,))))[-1]


def test_a_picture_of_a_pass_is_noticed(run):
    """The camera may read one showing several times; a later showing of the same pass is another's picture."""
    second = timedelta(seconds=1)
    shown = [Check(text(), NOW), Check(text(), NOW + 2 * second), Check(text(), NOW + 30 * second)]
    assert ["taken", SHOWN, SHOWN, "PASS_USED"] == run([Take(BUNDLE), *shown])


def test_bundles_follow_one_another(run):
    """News adds to what the gate knows; what does not fit, or is older, or nobody trusted signed, changes nothing."""
    news = replace(BUNDLE, number=8, after=7, void_records=frozenset([GROUND.record]))
    elsewhere = replace(BUNDLE, number=9, after=5)
    more = replace(BUNDLE, number=9, after=8)
    bundles = [Take(one) for one in (news, BUNDLE, BUNDLE, news, elsewhere, more)]
    answers = run([*bundles, Take(more, OTHER), Check(text())])
    refused = "BUNDLE_OUT_OF_ORDER"
    assert [refused, "taken", refused, "taken", refused, "taken", "SIGNER_UNKNOWN", "REVOKED"] == answers


def test_roots_follow_one_another(run):
    """A bundle names the roots that are believed from then on, the next one beforehand; who was left out signs none."""
    former, successor = pass_key(ROOT_KEY).encoded, pass_key(OTHER).encoded
    announced = replace(BUNDLE, number=8, roots=(former, successor))
    moved = replace(BUNDLE, number=9, roots=(successor,))
    later = replace(BUNDLE, number=10)
    steps = [Take(later, OTHER), Take(announced), Take(moved, OTHER), Take(later), Take(later, OTHER), Check(text())]
    unknown = "SIGNER_UNKNOWN"
    assert [unknown, "taken", "taken", unknown, "taken", SHOWN] == run(steps)


def test_a_whole_bundle_takes_the_place_of_all_before(run):
    """What was void by mistake holds again."""
    void = replace(BUNDLE, void_records=frozenset([GROUND.record]))
    whole = replace(BUNDLE, number=9)
    assert ["taken", "REVOKED", "taken", SHOWN] == run([Take(void), Check(text()), Take(whole), Check(text())])


def test_a_pass_is_a_small_picture():
    """At level M its QR code is of version 15 or less, with two grounds and the longest of initials."""
    large = replace(PASS, rests_on=(GROUND, replace(GROUND, record=b"87654321")), initials="欧阳**")
    assert 15 >= int(segno.make_qr(text(large), error="m", boost_error=False).version)


def test_a_year_of_ordinary_life_is_a_small_bundle():
    """36 keys, 5,000 single retractions and 60 laboratories' intervals stay under 100 kB."""
    keys = tuple(pass_key(ec.generate_private_key(ec.SECP256R1())) for _ in range(36))
    records = frozenset(record_digest("430000", f"S-{number}") for number in range(5_000))
    intervals = tuple(
        VoidInterval(laboratory_digest(f"LAB-{number}"), NOW - number * HOUR, NOW) for number in range(60)
    )
    assert 100_000 > len(Take(replace(BUNDLE, keys=keys, void_records=records, void_intervals=intervals)).encoded())
