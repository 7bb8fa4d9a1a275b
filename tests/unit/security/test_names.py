"""A name of a caller stands in logs, traces and trails: a document's number is none, wherever the name comes from."""

import pytest
from hutong.common.v1.subject_pb2 import DocumentType
from msgspec.structs import replace

from cli.certificates.authority import make_authority, utc_now
from gateway.identity.claims import identity_of
from gateway.identity.issuers import Issuer
from services.common.documents import PersonKeys
from services.common.errors import ServiceError
from services.common.instants import Instant
from services.runtime.rpc.peers import LONGEST_NAME, NamedPeers
from services.runtime.telemetry.trace import new_trace
from services.runtime.tls.files import read_material
from services.runtime.tls.identity import principal
from services.runtime.tls.trust import MESH, TlsError, Trust, UntrustedError
from tests.testkit.fuzzing.values import RESIDENTS
from tests.testkit.secret import SECRET

PERSON_KEYS = PersonKeys(SECRET.encode())
ISSUER = Issuer(audience="hutong", keys="keys.json", roles=("venue",))
NUMBER = next(number for number in RESIDENTS if number.isdigit())
HOLDER = principal(f"holder/{PERSON_KEYS.of_number(DocumentType.DOCUMENT_TYPE_RESIDENT_ID, NUMBER).hex()}")


class Context:
    """The part of a call's context that names the caller."""

    def __init__(self, **metadata: str) -> None:
        self._metadata = [(key.replace("_", "-"), value) for key, value in metadata.items()]

    def invocation_metadata(self):
        """Returns what the caller says."""
        return self._metadata

    def auth_context(self):
        """Returns nothing: there is no handshake."""
        return {}


@pytest.mark.parametrize("name", [NUMBER, f"app-{NUMBER}", f"{NUMBER[:6]} {NUMBER[6:]}", "x" * (LONGEST_NAME + 1), ""])
async def test_who_gives_a_number_for_a_name_gives_none(name):
    """Nor who gives a text without end."""
    caller = await NamedPeers().caller(Context(hutong_caller=name))
    assert ("", ()) == (caller.name, caller.users)


async def test_users_that_hold_a_number_are_left_out():
    """Persons by their keys stay, whatever digits are in them."""
    given = f"{HOLDER},{NUMBER},spiffe://hutong/supervisor/{NUMBER},spiffe://hutong/guardian/{NUMBER}{'a' * 14}"
    caller = await NamedPeers().caller(Context(hutong_caller="gateway", hutong_users=given))
    assert (HOLDER, f"spiffe://hutong/guardian/{NUMBER}{'a' * 14}") == caller.users


@pytest.mark.parametrize("role", ["venue", "laboratory", "supervisor", "operator"])
def test_no_token_names_anybody_by_a_number(role):
    """An issuer that numbers its staff by their ids."""
    issuer = replace(ISSUER, roles=(role,))
    for subject in (NUMBER, f"x-{NUMBER}"):
        with pytest.raises(ServiceError) as refused:
            identity_of({"role": role, "region": "430000", "sub": subject}, issuer, PERSON_KEYS)
        assert "TOKEN_CLAIMS" == refused.value.reason
        assert NUMBER not in str(refused.value)


def test_no_certificate_names_anybody_by_a_number(tmp_path):
    """Of a caller, and a process's own."""
    authority = make_authority("hutong mesh", utc_now())
    name = principal(f"region/430000/laboratory/{NUMBER}")
    authority.issue(name, tmp_path, days=1, now=utc_now())
    trust = Trust({MESH: authority.pem})
    with pytest.raises(UntrustedError) as refused:
        trust.principal_of((tmp_path / "tls.crt").read_bytes(), b"", Instant(0))
    assert NUMBER not in str(refused.value)
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "mesh.pem").write_bytes(authority.pem)
    with pytest.raises(TlsError):
        read_material(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "trust")


def test_a_trace_into_which_a_number_is_written_is_not_gone_on_with():
    """The trace id stands in every log line of a request; other digits in a row are by chance."""
    for trace_id in (f"{NUMBER}{'a' * 14}", f"{'b' * 7}{NUMBER}{'c' * 7}", f"{NUMBER:0>32}", f"{NUMBER}{'9' * 14}"):
        assert trace_id != new_trace(f"00-{trace_id}-00000000000000ab-01").hex_id
    other = f"{'9' * 18}{'a' * 14}"
    assert other == new_trace(f"00-{other}-00000000000000ab-01").hex_id
