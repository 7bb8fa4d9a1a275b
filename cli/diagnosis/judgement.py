"""Judges what the services of a mesh say: whether each is the one that is meant, and whether all agree. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hutong.common.v1.identity_pb2 import StoreIdentity

from cli.diagnosis.facts import (
    CertificateFacts,
    GatewayFacts,
    LookupFacts,
    MeshFacts,
    StoreAnswer,
    StoreFacts,
    VerdictFacts,
)
from services.common.errors import Text, Unavailable
from services.common.identities import FEED_CHANGED, OTHER_SECRET, RECORDS, ExpectedStore
from services.common.instants import SECOND
from services.common.mesh_directory import MeshDirectory
from services.common.mesh_secret import MeshSecret
from services.common.regions import NATION, divisions

CLOCK_ALLOWANCE = SECOND
"""How far a store's clock may be off (docs/decisions/0009), in microseconds."""
LAG_ALLOWANCE = 5 * SECOND
"""How far behind the nation may be, in microseconds."""
LIFE_SHARE = 4
"""A certificate has at least one in so many parts of its life left: it is renewed long before."""
HOLDERS = "holders"
"""The gateway's name for lookup's feed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: with what, a stable reason, and a text for people."""

    subject: str
    reason: str
    text: Text


def findings(members: MeshDirectory, facts: MeshFacts, secret: MeshSecret | None) -> list[Finding]:
    """Returns everything that is wrong. `members` is the list that should hold; without a secret the stores' are only
    held against one another."""
    return [
        *(finding for store in facts.stores for finding in _store(store, members, secret)),
        *_one_secret(facts, secret),
        *_following(facts, members),
        *(_lookup(facts.lookup, members, secret) if facts.lookup is not None else ()),
        *(_verdict(facts.verdict, members) if facts.verdict is not None else ()),
        *(_gateway(facts.gateway, members, secret) if facts.gateway is not None else ()),
        *_versions(facts),
        *(finding for certificate in facts.certificates for finding in _certificate(certificate)),
    ]


def versions(facts: MeshFacts) -> dict[str, list[str]]:
    """Returns the versions of the programs that answered, with the names of the services of each. Those before versions
    were told are "?"."""
    told: list[tuple[str, str]] = [
        (answer.identity.program_version, store.name) for store in facts.stores for answer in store.answers
    ]
    if facts.lookup is not None and facts.lookup.identity is not None and not facts.lookup.error:
        told.append((facts.lookup.identity.program_version, "lookup"))
    if facts.verdict is not None and not facts.verdict.error:
        told.append((facts.verdict.program_version, "verdict"))
    if facts.gateway is not None and not facts.gateway.error:
        told.append((facts.gateway.program_version, "gateway"))
    by_version: dict[str, list[str]] = {}
    for version, name in dict.fromkeys(told):
        by_version.setdefault(version or "?", []).append(name)
    return dict(sorted(by_version.items()))


def _versions(facts: MeshFacts) -> Iterator[Finding]:
    """Two releases run side by side during an upgrade, and no longer; stores are served by one schema."""
    schemas: dict[int, list[str]] = {}
    for store in facts.stores:
        for schema in dict.fromkeys(answer.identity.schema for answer in store.answers):
            schemas.setdefault(schema, []).append(store.name)
    for reason, zh, en, groups in (
        ("VERSIONS_DIFFER", "各服务版本不同", "services are of several versions", versions(facts)),
        ("SCHEMAS_DIFFER", "各记录库的表结构不同", "stores of records are of several schemas", schemas),
    ):
        if len(groups) > 1:
            named = "; ".join(f"{one}: {', '.join(names)}" for one, names in sorted(groups.items()))
            yield Finding("mesh", reason, Text(f"{zh}：{named}", f"{en}: {named}"))


def _store(store: StoreFacts, members: MeshDirectory, secret: MeshSecret | None) -> Iterator[Finding]:
    if store.error:
        yield _unreachable(store.name, store.address, store.error)
    if not store.answers:
        return
    first = store.answers[0].identity
    member = members.members[store.name]
    # Of a secret that is not known here, the store's own is as good as any.
    expected = ExpectedStore(RECORDS, store.name, first.secret_fingerprint, member.feed)
    if secret is not None and first.secret_fingerprint not in secret.fingerprints:
        expected = replace(expected, secret_fingerprint=secret.fingerprint())
    for answer in store.answers:
        try:
            expected.check(answer.identity)
        except Unavailable as error:
            yield Finding(store.name, error.reason, error.text)
            return
    if secret is not None:
        yield from _older_secret(store.name, first, secret)
    feeds = sorted({answer.identity.feed_id for answer in store.answers})
    if len(feeds) > 1:
        yield Finding(
            store.name,
            FEED_CHANGED,
            Text(
                f"同一地址 {store.address} 后有多个记录库：{', '.join(feeds)}",
                f"several stores answer behind {store.address}: {', '.join(feeds)}",
            ),
        )
    if store.name != NATION:
        yield from _clock(store.name, store.answers[-1])
    else:
        yield from _lag(store.answers[-1])


def _older_secret(name: str, identity: StoreIdentity, secret: MeshSecret) -> Iterator[Finding]:
    """Yields what is wrong with one that still goes by a version of the secret before the current one."""
    current = secret.fingerprint()
    if identity.secret_fingerprint != current:
        yield _secret_not_taken(name)
    older = [fingerprint for fingerprint in identity.older_secret_fingerprints if fingerprint != current]
    if older:
        named = ", ".join(_version(fingerprint, secret) for fingerprint in older)
        text = Text(
            f"仍有密钥版本 {named} 的人员标识",
            f"it still has, or may have, person keys of version {named} of the secret",
        )
        yield Finding(name, "OLDER_KEYS", text)


def _secret_not_taken(name: str) -> Finding:
    text = Text("尚未改用密钥的当前版本", "it does not go by the current version of the secret yet")
    return Finding(name, "SECRET_NOT_TAKEN", text)


def _version(fingerprint: bytes, secret: MeshSecret) -> str:
    return next((str(one) for one in sorted(secret.versions) if secret.fingerprint(one) == fingerprint), "?")


def _clock(name: str, answer: StoreAnswer) -> Iterator[Finding]:
    """A region's store has everything up to its own present."""
    if answer.as_of is None:
        return
    ahead = answer.as_of - answer.answered_at
    behind = answer.asked_at - answer.as_of
    off = ahead if ahead > 0 else -behind if behind > 0 else 0
    if abs(off) > CLOCK_ALLOWANCE:
        yield Finding(
            name,
            "CLOCK_OFF",
            Text(f"时钟相差 {off / SECOND:+.1f} 秒", f"its clock is off by {off / SECOND:+.1f} s"),
        )


def _lag(answer: StoreAnswer) -> Iterator[Finding]:
    lag = None if not answer.as_of else answer.asked_at - answer.as_of
    if lag is None or lag > LAG_ALLOWANCE:
        text = (
            Text("尚未听到所有地区的消息", "it has not heard of every region yet")
            if lag is None
            else Text(f"落后 {lag / SECOND:.1f} 秒", f"it is {lag / SECOND:.1f} s behind")
        )
        yield Finding(NATION, "NATION_BEHIND", text)


def _one_secret(facts: MeshFacts, secret: MeshSecret | None) -> Iterator[Finding]:
    if secret is not None:
        return
    by_secret: dict[bytes, list[str]] = {}
    for store in facts.stores:
        for answer in store.answers[:1]:
            by_secret.setdefault(answer.identity.secret_fingerprint, []).append(store.name)
    if len(by_secret) > 1:
        groups = " | ".join(", ".join(names) for names in by_secret.values())
        yield Finding(
            groups,
            OTHER_SECRET,
            Text("各库的人员标识以不同密钥生成", "their person keys were made under different secrets"),
        )


def _following(facts: MeshFacts, members: MeshDirectory) -> Iterator[Finding]:
    """Holds what the nation follows against the list, and against what the regions say of themselves."""
    own = {store.name: store.answers[0].identity for store in facts.stores if store.answers}
    nation = own.get(NATION)
    if nation is None or nation.region != NATION:
        return
    followed = {feed.region: feed.feed_id for feed in nation.follows}
    for region in sorted(members.regions.keys() - followed.keys()):
        yield Finding(
            region,
            "REGION_NOT_FOLLOWED",
            Text("国家库没有跟随该地区", "the nation does not follow it"),
        )
    for region in sorted(followed.keys() - members.regions.keys()):
        yield Finding(
            region,
            "REGION_NOT_LISTED",
            Text("国家库仍跟随该地区，名单中已没有", "the nation follows it, and the list does not name it"),
        )
    for region, feed_id in sorted(followed.items()):
        if region in own and own[region].region == region and feed_id and feed_id != own[region].feed_id:
            yield Finding(
                region,
                FEED_CHANGED,
                Text(
                    f"其变更流是 {own[region].feed_id}，国家库跟随的是 {feed_id}",
                    f"its feed is {own[region].feed_id}; the nation follows {feed_id}",
                ),
            )


def _lookup(lookup: LookupFacts, members: MeshDirectory, secret: MeshSecret | None) -> Iterator[Finding]:
    if lookup.error:
        yield _unreachable("lookup", lookup.address, lookup.error)
        return
    if secret is not None and lookup.identity is not None:
        yield from _older_secret("lookup", lookup.identity, secret)
    if lookup.version == members.version:
        return
    listed = {name: member.records for name, member in members.members.items()}
    names = sorted(
        name for name in {*listed, *lookup.addresses} if listed.get(name, "") != lookup.addresses.get(name, "")
    )
    yield Finding(
        "lookup",
        "DIRECTORY_DIFFERS",
        Text(
            f"查询服务的名单不同：{', '.join(names) or '方式或变更流'}",
            f"lookup's list is another one: {', '.join(names) or 'modes or feeds'}",
        ),
    )


def _verdict(verdict: VerdictFacts, members: MeshDirectory) -> Iterator[Finding]:
    if verdict.error:
        yield _unreachable("verdict", verdict.address, verdict.error)
        return
    for region in sorted(members.regions.keys() - verdict.regions):
        name = divisions()[region].name
        yield Finding(
            region, "NO_POLICY", Text(f"{name.zh}没有政策", f"the verdict service has no policy of {name.en}")
        )


def _gateway(gateway: GatewayFacts, members: MeshDirectory, secret: MeshSecret | None) -> Iterator[Finding]:
    if gateway.error:
        yield _unreachable("gateway", gateway.address, gateway.error)
        return
    for component, trouble in sorted(gateway.components.items()):
        if trouble:
            yield Finding("gateway", "GATEWAY_DEGRADED", Text(f"{component}：{trouble}", f"{component}: {trouble}"))
    if secret is not None and gateway.secret_version not in (None, secret.current):
        yield _secret_not_taken("gateway")
    heard = gateway.feeds - {HOLDERS}
    if heard and heard != members.members.keys():
        names = ", ".join(sorted(heard ^ members.members.keys()))
        yield Finding(
            "gateway",
            "DIRECTORY_DIFFERS",
            Text(f"网关的名单不同：{names}", f"the gateway's list is another one: {names}"),
        )


def _certificate(certificate: CertificateFacts) -> Iterator[Finding]:
    left = certificate.ends_at - certificate.seen_at
    end = datetime.fromtimestamp(certificate.ends_at / SECOND, UTC).isoformat(timespec="minutes")
    if left <= 0:
        yield Finding(
            certificate.name,
            "CERTIFICATE_ENDED",
            Text(f"证书已于 {end} 到期，无人再与其通信", f"its certificate ended at {end}: nobody talks to it"),
        )
    elif left * LIFE_SHARE < certificate.ends_at - certificate.begins_at:
        yield Finding(
            certificate.name,
            "CERTIFICATE_ENDS",
            Text(f"证书将于 {end} 到期，尚未续期", f"its certificate ends at {end} and was not renewed"),
        )


def _unreachable(name: str, address: str, error: str) -> Finding:
    return Finding(name, "UNREACHABLE", Text(f"{address} 无法询问：{error}", f"{address} could not be asked: {error}"))
