"""A diagnosis finds every mistake of configuration by its reason, and nothing where nothing is wrong."""

import tomllib
from dataclasses import replace

import pytest
from hutong.common.v1.identity_pb2 import FollowedFeed, StoreIdentity

from cli.diagnosis.facts import (
    CertificateFacts,
    GatewayFacts,
    LookupFacts,
    MeshFacts,
    StoreAnswer,
    StoreFacts,
    VerdictFacts,
)
from cli.diagnosis.judgement import findings, versions
from services.common.identities import RECORDS
from services.common.instants import SECOND, Instant
from services.common.mesh_directory import Member, MeshDirectory
from services.common.mesh_secret import MeshSecret, parse_mesh_secret
from services.common.regions import NATION
from services.runtime.version import VERSION
from tests.testkit.tools import ROOT

BEIJING, HUNAN = "110000", "430000"
NOW = Instant(1_790_000_000 * SECOND)
SECRET = parse_mesh_secret("root: the root of the mesh\n1: the first version\n2: the second version\ncurrent: 2\n")
CURRENT, OLDER = SECRET.fingerprint(2), SECRET.fingerprint(1)
MEMBERS = MeshDirectory(Member("n:1"), {BEIJING: Member("b:1"), HUNAN: Member("h:1")})


def identity(region: str, *follows: str, feed: str = "", secret: bytes = CURRENT, older: bytes = b"") -> StoreIdentity:
    """Returns the identity that a store says."""
    return StoreIdentity(
        kind=RECORDS,
        region=region,
        feed_id=feed or f"feed of {region}",
        secret_fingerprint=secret,
        older_secret_fingerprints=[older] if older else [],
        follows=[FollowedFeed(region=one, feed_id=f"feed of {one}") for one in follows],
    )


def answer(said: StoreIdentity, behind: float = 0.05) -> StoreAnswer:
    """Returns a store's answer: it has everything up to so many seconds ago."""
    return StoreAnswer(said, Instant(NOW - round(behind * SECOND)), Instant(NOW - SECOND // 10), NOW)


def store(name: str, *said: StoreIdentity, error: str = "", behind: float = 0.05) -> StoreFacts:
    """Returns the outcome of asking a store."""
    return StoreFacts(name, MEMBERS.members[name].records, [answer(one, behind) for one in said], error)


RIGHT = {
    NATION: store(NATION, identity(NATION, BEIJING, HUNAN), behind=1.5),
    BEIJING: store(BEIJING, identity(BEIJING), identity(BEIJING)),
    HUNAN: store(HUNAN, identity(HUNAN)),
}
REST = MeshFacts(
    (),
    LookupFacts("l:1", MEMBERS.version, {name: member.records for name, member in MEMBERS.members.items()}),
    VerdictFacts("v:1", frozenset({BEIJING, HUNAN, "510000"})),
    GatewayFacts("http://g", {"verdict": "", "news": ""}, frozenset({NATION, BEIJING, HUNAN, "holders"})),
)


def found(facts: MeshFacts = REST, secret: MeshSecret | None = SECRET, **others: StoreFacts) -> list[tuple[str, str]]:
    """Subject and reason of everything that is wrong."""
    stores = {**RIGHT, **{name.removeprefix("_"): facts for name, facts in others.items()}}
    return [(one.subject, one.reason) for one in findings(MEMBERS, replace(facts, stores=[*stores.values()]), secret)]


def test_nothing_is_wrong_with_a_mesh_that_is_right():
    """With the secret known, and with the stores held against one another."""
    assert [] == found() == found(secret=None)


@pytest.mark.parametrize(
    ("region", "facts", "expected"),
    [
        (BEIJING, store(BEIJING, identity(HUNAN)), [(BEIJING, "WRONG_STORE")]),
        (BEIJING, store(BEIJING, identity(NATION)), [(BEIJING, "WRONG_STORE")]),
        (BEIJING, store(BEIJING, StoreIdentity()), [(BEIJING, "WRONG_STORE")]),
        (HUNAN, store(HUNAN, identity(HUNAN, secret=b"another!")), [(HUNAN, "OTHER_SECRET")]),
        (HUNAN, store(HUNAN, error="SERVICE_UNREACHABLE"), [(HUNAN, "UNREACHABLE")]),
        (
            HUNAN,
            store(HUNAN, identity(HUNAN), identity(HUNAN, feed="another file")),
            [(HUNAN, "FEED_CHANGED")],
        ),
        (HUNAN, store(HUNAN, identity(HUNAN, feed="made anew")), [(HUNAN, "FEED_CHANGED")]),
        (HUNAN, store(HUNAN, identity(HUNAN), behind=180), [(HUNAN, "CLOCK_OFF")]),
        (HUNAN, store(HUNAN, identity(HUNAN), behind=-180), [(HUNAN, "CLOCK_OFF")]),
        (NATION, store(NATION, identity(NATION, BEIJING, HUNAN), behind=60), [(NATION, "NATION_BEHIND")]),
        (NATION, store(NATION, identity(NATION, BEIJING), behind=1), [(HUNAN, "REGION_NOT_FOLLOWED")]),
        (
            NATION,
            store(NATION, identity(NATION, BEIJING, HUNAN, "510000"), behind=1),
            [("510000", "REGION_NOT_LISTED")],
        ),
    ],
)
def test_a_store_that_is_not_as_it_should_be_is_named(region, facts, expected):
    """With one reason for one mistake."""
    assert expected == found(**{f"_{region}": facts})


def test_secrets_that_differ_are_found_without_knowing_the_right_one():
    """Whose is right is for an operator to say."""
    wrong = store(HUNAN, identity(HUNAN, secret=b"another!"))
    assert ["OTHER_SECRET"] == [reason for _, reason in found(secret=None, _430000=wrong)]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(REST, lookup=LookupFacts("l:1", "another", {BEIJING: "b:1"})), [("lookup", "DIRECTORY_DIFFERS")]),
        (replace(REST, lookup=LookupFacts("l:1", error="SERVICE_UNREACHABLE")), [("lookup", "UNREACHABLE")]),
        (replace(REST, verdict=VerdictFacts("v:1", frozenset({BEIJING}))), [(HUNAN, "NO_POLICY")]),
        (replace(REST, verdict=VerdictFacts("v:1", error="DEADLINE_EXCEEDED")), [("verdict", "UNREACHABLE")]),
        (
            replace(REST, gateway=GatewayFacts("http://g", {"cache": "no answer"}, frozenset())),
            [("gateway", "GATEWAY_DEGRADED")],
        ),
        (
            replace(REST, gateway=GatewayFacts("http://g", {}, frozenset({NATION, BEIJING, "holders"}))),
            [("gateway", "DIRECTORY_DIFFERS")],
        ),
        (replace(REST, gateway=GatewayFacts("http://g", error="refused")), [("gateway", "UNREACHABLE")]),
        (replace(REST, lookup=None, verdict=None, gateway=None), []),
    ],
)
def test_a_service_that_does_not_agree_is_named(facts, expected):
    """What was not asked is not judged."""
    assert expected == found(facts)


def test_versions_and_schemas_that_differ_are_told_with_whose_they_are():
    """Of every service, of each replica behind a name, and of those that do not say yet."""

    def served(name: str, version: str, schema: int) -> StoreIdentity:
        told = identity(name, *((BEIJING, HUNAN) if name == NATION else ()))
        told.program_version, told.schema = version, schema
        return told

    stores = {
        NATION: store(NATION, served(NATION, "0.2.0", 11)),
        "_110000": store(BEIJING, served(BEIJING, "0.2.0", 11), served(BEIJING, "0.1.0", 10)),
        "_430000": store(HUNAN, served(HUNAN, "", 0)),
    }
    lookup, verdict, gateway = REST.lookup, REST.verdict, REST.gateway
    assert lookup is not None
    assert verdict is not None
    assert gateway is not None
    facts = replace(
        REST,
        lookup=replace(lookup, identity=StoreIdentity(secret_fingerprint=CURRENT, program_version="0.2.0")),
        verdict=replace(verdict, program_version="0.2.0"),
        gateway=replace(gateway, program_version="0.1.0"),
    )
    assert [("mesh", "VERSIONS_DIFFER"), ("mesh", "SCHEMAS_DIFFER")] == found(facts, SECRET, **stores)
    told = versions(replace(facts, stores=[*stores.values()]))
    assert told == {
        "0.1.0": [BEIJING, "gateway"],
        "0.2.0": [NATION, BEIJING, "lookup", "verdict"],
        "?": [HUNAN],
    }


def test_the_version_is_that_of_the_distribution():
    """It stands in the code as well, for an image has no more than that."""
    assert VERSION == tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_who_still_needs_the_old_secret_is_named():
    """A store that has keys of it, one that has not read the new file, lookup and the gateway likewise."""
    stores = {
        "_110000": store(BEIJING, identity(BEIJING, older=OLDER)),
        "_430000": store(HUNAN, identity(HUNAN, secret=OLDER, older=OLDER)),
    }
    lookup, gateway = REST.lookup, REST.gateway
    assert lookup is not None
    assert gateway is not None
    facts = replace(
        REST,
        lookup=replace(lookup, identity=StoreIdentity(secret_fingerprint=CURRENT, older_secret_fingerprints=[OLDER])),
        gateway=replace(gateway, secret_version=1),
    )
    assert [
        (BEIJING, "OLDER_KEYS"),
        (HUNAN, "SECRET_NOT_TAKEN"),
        (HUNAN, "OLDER_KEYS"),
        ("lookup", "OLDER_KEYS"),
        ("gateway", "SECRET_NOT_TAKEN"),
    ] == found(facts, _110000=stores["_110000"], _430000=stores["_430000"])


@pytest.mark.parametrize(
    ("left", "life", "expected"),
    [
        (8, 24, []),
        (6, 24, []),
        (5.9, 24, [("verdict", "CERTIFICATE_ENDS")]),
        (0, 24, [("verdict", "CERTIFICATE_ENDED")]),
        (-100, 24, [("verdict", "CERTIFICATE_ENDED")]),
        (24 * 30, 24 * 90, []),
        (24 * 20, 24 * 90, [("verdict", "CERTIFICATE_ENDS")]),
    ],
)
def test_a_certificate_is_renewed_while_a_quarter_of_its_life_is_left(left, life, expected):
    """Short ones and long ones alike; hours."""
    ends = NOW + round(left * 3_600 * SECOND)
    facts = CertificateFacts("verdict", NOW, Instant(ends - life * 3_600 * SECOND), Instant(ends))
    assert expected == found(replace(REST, certificates=[facts]))
