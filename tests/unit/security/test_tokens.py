"""Bearer tokens: whom they name, and every way in which one will not do."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.identity import tokens as tokens_module
from gateway.identity.claims import identity_of
from gateway.identity.issuers import Issuer, read_issuers
from gateway.identity.key_sets import KeySource, read_keys
from gateway.identity.tokens import Tokens, Trusted
from services.common.documents import PersonKeys
from services.common.errors import ServiceError
from services.runtime.rpc.peers import Caller
from tests.testkit.builders.tokens import AUDIENCE, HOLDER, NAME, Keys, issuers_file, jwks
from tests.testkit.fakes.mesh import DOCUMENT, PERSON
from tests.testkit.secret import SECRET

PERSON_KEYS = PersonKeys(SECRET.encode())
ISSUER = Issuer(
    audience=AUDIENCE,
    keys="keys.json",
    roles=("holder", "guardian", "venue", "supervisor"),
    algorithms=("ES256", "EdDSA", "PS256"),
    skew=30,
)
CHILD = {"type": "PASSPORT", "number": "E12345678"}
SIGNER = Keys()


class Published:
    """An issuer's JWKS, which may change or be gone."""

    def __init__(self, *keys: Keys) -> None:
        self.keys: tuple[Keys, ...] | None = keys
        self.fetched = 0

    async def fetch(self) -> bytes:
        """Returns what is published now."""
        self.fetched += 1
        if self.keys is None:
            raise OSError("gone")
        return jwks(*self.keys)


def believing(published: Published, issuer: Issuer = ISSUER) -> Tokens:
    """Returns what verifies the tokens of one issuer."""
    return Tokens({NAME: Trusted(issuer, KeySource(NAME, published.fetch, every=3600))}, PERSON_KEYS)


async def outcome(token: str, tokens: Tokens | None = None) -> Caller | str:
    """Returns whom a token names, or the reason why it will not do."""
    try:
        return await (tokens or believing(Published(SIGNER))).verify(f"Bearer {token}".encode())
    except ServiceError as error:
        return error.reason


def name(path: str) -> str:
    """Returns a name of the mesh."""
    return f"spiffe://hutong/{path}"


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "PS256"])
async def test_a_holder_is_known_by_the_key_of_the_document(algorithm):
    """With each algorithm that the issuer may sign with; of the number nothing is kept."""
    keys = Keys(algorithm)
    tokens = believing(Published(keys))
    caller = await tokens.verify(f"bearer  {keys.sign()}".encode())
    assert (name(f"holder/{PERSON.hex()}"), (PERSON,), True) == (caller.name, caller.persons, caller.proven)
    assert 600 <= caller.ends - time.monotonic() <= 631
    assert DOCUMENT["number"] not in repr(vars(tokens))


@pytest.mark.parametrize(
    ("claims", "path"),
    [
        ({"role": "venue", "region": "430000", "sub": "south-station"}, "region/430000/venue/south-station"),
        ({"role": "supervisor", "sub": "inspector-7"}, "supervisor/inspector-7"),
    ],
)
async def test_who_is_no_holder_is_named_by_role_and_subject(claims, path):
    """As the table of access has it."""
    caller = await outcome(SIGNER.sign({"document": None, **claims}))
    assert isinstance(caller, Caller)
    assert (name(path), ()) == (caller.name, caller.persons)


def test_a_guardian_speaks_for_its_dependants():
    """Itself first."""
    identity = identity_of({**HOLDER, "role": "guardian", "dependants": [CHILD]}, ISSUER, PERSON_KEYS)
    assert (name(f"guardian/{PERSON.hex()}"), PERSON, 2) == (identity.name, identity.persons[0], len(identity.persons))


def unsigned(token: str, **header: Any) -> str:
    """Returns a token with another header and its signature as it was."""
    _, payload, signature = token.split(".")
    written = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{written}.{payload}.{signature}"


def hmac_with_the_public_key() -> str:
    """Returns a token signed by HMAC under the issuer's public key, which everybody has."""
    public = SIGNER.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, payload, _ = unsigned(SIGNER.sign(), alg="HS256", kid="one").split(".")
    digest = hmac.new(public, f"{head}.{payload}".encode(), hashlib.sha256).digest()
    return f"{head}.{payload}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


NOW = int(time.time())
REFUSED: dict[str, tuple[str, Any]] = {
    "no token": ("TOKEN_MALFORMED", lambda: "x"),
    "two parts": ("TOKEN_MALFORMED", lambda: SIGNER.sign().rpartition(".")[0]),
    "five parts": ("TOKEN_MALFORMED", lambda: "a.b.c.d.e"),
    "no header": ("TOKEN_MALFORMED", lambda: "e30.e30.e30"),
    "huge": ("TOKEN_MALFORMED", lambda: SIGNER.sign({"more": "x" * 9_000})),
    "a critical extension": ("TOKEN_MALFORMED", lambda: SIGNER.sign(header={"crit": ["exp"]})),
    "a key id that is no text": ("TOKEN_MALFORMED", lambda: unsigned(SIGNER.sign(), alg="ES256", kid=[1])),
    "none": (
        "TOKEN_ALGORITHM",
        lambda: jwt.encode({"iss": NAME, "aud": AUDIENCE, "exp": NOW + 600}, "", "none") + "e30",
    ),
    "none, signed": ("TOKEN_ALGORITHM", lambda: unsigned(SIGNER.sign(), alg="none", kid="one")),
    "HS256 under the public key": ("TOKEN_ALGORITHM", hmac_with_the_public_key),
    "an algorithm that is not allowed": ("TOKEN_ALGORITHM", lambda: Keys("RS256").sign()),
    "another algorithm than the key's": ("TOKEN_KEY_UNKNOWN", lambda: unsigned(SIGNER.sign(), alg="EdDSA", kid="one")),
    "a key id that is a path": ("TOKEN_KEY_UNKNOWN", lambda: SIGNER.sign(header={"kid": "../../etc/passwd"})),
    "a key id that is SQL": ("TOKEN_KEY_UNKNOWN", lambda: SIGNER.sign(header={"kid": "' OR 1=1 --"})),
    "a key of its own": (
        "TOKEN_SIGNATURE",
        lambda: Keys().sign(header={"jwk": Keys().public(), "jku": "https://x.example"}),
    ),
    "another signature": (
        "TOKEN_SIGNATURE",
        lambda: SIGNER.sign({"x": 1}).rpartition(".")[0] + "." + SIGNER.sign().rpartition(".")[2],
    ),
    "another issuer": ("TOKEN_ISSUER", lambda: SIGNER.sign({"iss": "https://evil.example"})),
    "no issuer": ("TOKEN_ISSUER", lambda: SIGNER.sign({"iss": None})),
    "another audience": ("TOKEN_AUDIENCE", lambda: SIGNER.sign({"aud": "hutong-other"})),
    "no audience": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"aud": None})),
    "no end": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"exp": None})),
    "an end that never comes": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"exp": 1e400})),
    "expired beyond the skew": ("TOKEN_EXPIRED", lambda: SIGNER.sign({"exp": int(time.time()) - 40})),
    "not begun": ("TOKEN_NOT_YET_VALID", lambda: SIGNER.sign({"nbf": int(time.time()) + 300})),
    "issued in the future": ("TOKEN_NOT_YET_VALID", lambda: SIGNER.sign({"iat": int(time.time()) + 300})),
    "no role": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"role": None})),
    "many roles": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"role": ["holder"]})),
    "a role that the issuer may not give": ("TOKEN_ROLE", lambda: SIGNER.sign({"role": "operator"})),
    "a holder without a document": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"document": None})),
    "a document that is none": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"document": {**DOCUMENT, "number": "1"}})),
    "a type that is none": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"document": {**DOCUMENT, "type": "LIBRARY_CARD"}})),
    "a guardian of nobody": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"role": "guardian"})),
    "a guardian of a town": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"role": "guardian", "dependants": [CHILD] * 21})),
    "a venue nowhere": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"role": "venue"})),
    "a venue in no region": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"role": "venue", "region": "999999"})),
    "a name with a path": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"role": "supervisor", "sub": "../mesh/gateway"})),
    "a name of dots": ("TOKEN_CLAIMS", lambda: SIGNER.sign({"role": "supervisor", "sub": ".."})),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
async def test_a_token_that_will_not_do_is_refused_with_its_reason(what):
    """And is not remembered."""
    reason, make = REFUSED[what]
    tokens = believing(Published(SIGNER))
    token = make()
    assert reason == await outcome(token, tokens)
    assert tokens.remembered(f"Bearer {token}".encode()) is None


async def test_clocks_may_differ_by_the_skew():
    """A token that ended ten seconds ago, or begins in ten, still counts; its end is that of the skew."""
    tokens = believing(Published(SIGNER))
    for claims in ({"exp": int(time.time()) - 10}, {"nbf": int(time.time()) + 10}):
        assert isinstance(await outcome(SIGNER.sign(claims), tokens), Caller)
    assert isinstance(await outcome(SIGNER.sign({"exp": int(time.time()) - 10})), Caller)
    strict = believing(Published(SIGNER), replace(ISSUER, skew=0))
    assert "TOKEN_EXPIRED" == await outcome(SIGNER.sign({"exp": int(time.time()) - 10}), strict)


@given(at=st.integers(min_value=0), byte=st.integers(0, 255))
async def test_a_token_with_a_byte_changed_is_nobodys(at, byte):
    """Whatever the byte; a change that leaves the same bytes once decoded is no change."""
    whole = SIGNER.sign({"iat": NOW, "exp": NOW + 3600}).encode()
    at %= len(whole)
    changed = b"Bearer " + whole[:at] + bytes([byte]) + whole[at + 1 :]
    try:
        caller = await believing(Published(SIGNER)).verify(changed)
    except ServiceError as error:
        caller = None
        reason = error.reason
    if caller is None:
        assert reason.startswith("TOKEN_")
    else:
        assert whole.rpartition(b".")[0] == changed.removeprefix(b"Bearer ").rpartition(b".")[0]
        assert (PERSON,) == caller.persons


async def test_a_verified_token_is_remembered_until_it_ends_or_its_key_goes():
    """By its digest alone."""
    published = Published(SIGNER)
    source = KeySource(NAME, published.fetch, every=3600)
    tokens = Tokens({NAME: Trusted(ISSUER, source)}, PERSON_KEYS)
    header = f"Bearer {SIGNER.sign()}".encode()
    caller = await tokens.verify(header)
    assert caller is tokens.remembered(header)
    await source.refresh()
    assert caller is tokens.remembered(header), "the same keys again"
    published.keys = (Keys(key_id="two"),)
    await source.refresh()
    assert tokens.remembered(header) is None
    short = f"Bearer {SIGNER.sign({'exp': int(time.time()) - 29})}".encode()
    published.keys = (SIGNER,)
    await source.refresh()
    assert (await tokens.verify(short)).ends - time.monotonic() <= 1.0
    await asyncio.sleep(1.0)
    assert tokens.remembered(short) is None


async def test_no_more_tokens_are_remembered_than_there_is_room_for(monkeypatch):
    """The oldest go first."""
    monkeypatch.setattr(tokens_module, "MOST_REMEMBERED", 10)
    tokens = believing(Published(SIGNER))
    headers = [f"Bearer {SIGNER.sign({'n': number})}".encode() for number in range(12)]
    for header in headers:
        await tokens.verify(header)
    assert [False, False] + [True] * 10 == [tokens.remembered(header) is not None for header in headers]


async def test_keys_that_cannot_be_fetched_again_stay():
    """The last good ones; what was never had is no word about a token."""
    published = Published(SIGNER)
    source = KeySource(NAME, published.fetch, every=3600)
    tokens = Tokens({NAME: Trusted(ISSUER, source)}, PERSON_KEYS)
    assert isinstance(await outcome(SIGNER.sign({"n": 1}), tokens), Caller)
    published.keys = None
    await source.refresh()
    assert isinstance(await outcome(SIGNER.sign({"n": 2}), tokens), Caller)
    never = Published()
    never.keys = None
    assert "TOKEN_KEYS_UNAVAILABLE" == await outcome(SIGNER.sign(), believing(never))


async def test_keys_that_are_too_old_count_no_longer(monkeypatch):
    """A key that was withdrawn must not count for ever because its issuer is cut off."""
    monkeypatch.setattr("gateway.identity.key_sets.LAST_KNOWN_SECONDS", 0.0)
    published = Published(SIGNER)
    tokens = believing(published)
    assert "TOKEN_KEYS_UNAVAILABLE" == await outcome(SIGNER.sign(), tokens)


async def test_a_new_key_is_fetched_when_a_token_names_it_and_no_oftener_than_once_a_second():
    """A stranger's key ids do not become a flood of requests to the issuer."""
    published = Published(SIGNER)
    tokens = believing(published)
    assert isinstance(await outcome(SIGNER.sign(), tokens), Caller)
    following = Keys(key_id="two")
    published.keys = (SIGNER, following)
    began, fetched = time.monotonic(), published.fetched
    strangers = [outcome(SIGNER.sign(header={"kid": f"k{number}"}), tokens) for number in range(40)]
    *refused, caller = await asyncio.gather(*strangers, outcome(following.sign(), tokens))
    assert {"TOKEN_KEY_UNKNOWN"} == set(refused)
    assert isinstance(caller, Caller)
    assert published.fetched - fetched <= 1 + (time.monotonic() - began)


def test_keys_that_verify_nothing_are_passed_over():
    """Symmetric, private, for encryption, on another curve, too short; what is no JWKS is an error."""
    private = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(SIGNER.private))
    bad = [{"kty": "oct", "k": "c2VjcmV0", "kid": "one"}, {**private, "kid": "one"}, {**SIGNER.public(), "use": "enc"}]
    bad += [{**SIGNER.public(), "crv": "P-384"}, {"kty": "EC"}]
    for described in bad:
        assert read_keys(json.dumps({"keys": [described]}).encode()).find("one", "ES256") is None
    for content in (b"", b"[]", b'{"keys": {}}', b"{}", b"<html>"):
        with pytest.raises(ValueError, match="is no JWKS"):
            read_keys(content)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"algorithms": ["HS256"]}, "HS256"),
        ({"algorithms": ["none"]}, "none"),
        ({"roles": ["king"]}, "king"),
        ({"regions": ["99"]}, "99: not a province-level code"),
        ({"keys": "http://id.example/jwks.json"}, "keys come over https"),
        ({"keys": "nowhere.json"}, "there is no file"),
        ({"skew": 3600}, "skew"),
    ],
)
def test_a_list_of_issuers_that_will_not_do_says_why(tmp_path, change, said):
    """Before anything is served."""
    (tmp_path / "keys.json").write_bytes(jwks(SIGNER))
    assert {NAME} == read_issuers(issuers_file(tmp_path)).keys()
    with pytest.raises(ValueError, match=said):
        read_issuers(issuers_file(tmp_path, **change))
