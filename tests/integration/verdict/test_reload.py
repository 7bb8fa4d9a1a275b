"""The policies in use follow their directory, and the last good set is kept when it cannot be used."""

import asyncio
import logging
import os
import shutil
import threading
from pathlib import Path

import pytest
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.lookup.v1.evidence_service_pb2 import (
    BatchGetEvidenceRequest,
    BatchGetEvidenceResponse,
    Evidence,
    SourceCoverage,
    SourceStatus,
)
from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1.verdict_pb2 import Verdict
from hutong.verdict.v1.verdict_service_pb2 import ComputeVerdictRequest, VerdictQuery

from services.common.documents import PersonKeys
from services.common.instants import DAY, SECOND, Instant, from_timestamp, parse_rfc3339, to_timestamp
from services.runtime.clock import Clock
from services.runtime.rpc.health import Degraded
from services.verdict import metrics
from services.verdict.policy.files import DEFAULT_DIRECTORY
from services.verdict.policy.registry import PolicyRegistry
from services.verdict.policy.yaml_document import PolicyFileError
from services.verdict.servicers.verdict import VerdictServicer
from tests.testkit.identities import LOOKUP, lookup_identity
from tests.testkit.secret import SECRET

NOW = parse_rfc3339("2022-08-09T12:00:00+08:00")
LATER = "2022-10-01T00:00:00+08:00"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The policies of Henan, and the notice."""
    for name in ("nation", "410000"):
        shutil.copytree(DEFAULT_DIRECTORY / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def registry(directory: Path) -> PolicyRegistry:
    """The policies of that directory, in August 2022."""
    return PolicyRegistry(directory, lambda: NOW)


def _henan(directory: Path, date: str) -> Path:
    return directory / "410000" / f"{date}.yaml"


def _exchange(directory: Path, other: Path) -> None:
    """Puts what is in one in the place of what is in the other."""
    between = directory.parent / "between"
    other.mkdir(exist_ok=True)
    directory.rename(between)
    other.rename(directory)
    between.rename(other)


def _next_version(directory: Path, starts: str = LATER, **replaced: str) -> Path:
    text = _henan(directory, "2022-09-01").read_text(encoding="utf-8").replace("2022-09-01T00:00:00+08:00", starts)
    for old, new in replaced.items():
        text = text.replace(old, new)
    path = _henan(directory, starts[:10])
    path.write_text(text, encoding="utf-8")
    return path


async def test_a_new_version_is_taken_up_while_running(registry: PolicyRegistry, directory: Path):
    """Its region's digest changes, and no other's."""
    before = dict(registry.policies.digests)
    assert registry.refresh() is False
    _next_version(directory)
    assert registry.refresh() is True
    assert registry.policies.by_id("410000-2022-10-01") is not None
    assert {region for region, digest in registry.policies.digests.items() if digest != before[region]} == {"410000"}
    await registry.ping()


async def test_another_notice_changes_every_region(registry: PolicyRegistry, directory: Path):
    """Every region's verdicts rest on it."""
    before = dict(registry.policies.digests)
    text = (directory / "nation" / "2022-07-29.yaml").read_text(encoding="utf-8")
    (directory / "nation" / "2022-12-07.yaml").write_text(
        text.replace("2022-07-29T", "2022-12-07T").replace("binds: true", "binds: false"), encoding="utf-8"
    )
    assert registry.refresh() is True
    assert all(registry.policies.digests[region] != before[region] for region in before)


async def test_comments_change_no_digest(registry: PolicyRegistry, directory: Path):
    """A policy's hash is of what it says; the file that is shown is the new one."""
    path = _henan(directory, "2022-07-01")
    path.write_text("# A better comment.\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    before = dict(registry.policies.digests)
    assert registry.refresh() is False
    assert registry.policies.digests == before
    assert registry.yaml("410000-2022-07-01").startswith("# A better comment.")
    await registry.ping()


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        (lambda d: _henan(d, "2022-09-01").write_text("region: [", encoding="utf-8"), "2022-09-01.yaml:1: not YAML"),
        (lambda d: _henan(d, "2022-09-01").write_bytes(b"\xb1\xb1"), "not UTF-8"),
        (lambda d: _next_version(d, mode="moud"), "unknown field `moud`"),
        (
            lambda d: shutil.copy(_henan(d, "2022-07-01"), d / "410000" / "twice.yaml"),
            "two policies of 410000 have the id 410000-2022-07-01",
        ),
        (lambda d: shutil.rmtree(d), "no such directory"),
        (lambda d: _henan(d, "2022-07-01").unlink(), "is in force and cannot be withdrawn"),
        (lambda d: _next_version(d, "2022-07-15T00:00:00+08:00"), "410000-2022-07-15 starts in the past"),
        (lambda d: _henan(d, "2022-09-01").write_text("a: &a [*a]", encoding="utf-8"), "aliases"),
        (lambda d: _next_version(d, **{"48": ".inf"}), "Expected"),
    ],
    ids=["not YAML", "not UTF-8", "unknown field", "overlap", "gone", "withdrawn", "backdated", "alias", "infinite"],
)
async def test_a_bad_set_is_not_taken(registry: PolicyRegistry, directory: Path, caplog, break_it, complaint: str):
    """The last good set is kept; the log, a metric and the health component say why, once."""
    before = registry.policies
    break_it(directory)
    with caplog.at_level(logging.ERROR, "hutong.verdict.policies"):
        assert registry.refresh() is False
        assert registry.refresh() is False
    assert registry.policies is before
    assert [complaint in record.__dict__["trouble"] for record in caplog.records] == [True]
    assert metrics.STALE._value.get() == 1
    with pytest.raises(Degraded, match="the last good set is kept"):
        await registry.ping()


async def test_mended_files_are_taken_again(registry: PolicyRegistry, directory: Path):
    """And health is whole again."""
    path = _henan(directory, "2022-09-01")
    good = path.read_text(encoding="utf-8")
    path.write_text("region: [", encoding="utf-8")
    registry.refresh()
    path.write_text(good, encoding="utf-8")
    _next_version(directory)
    assert registry.refresh() is True
    assert metrics.STALE._value.get() == 0
    await registry.ping()


async def test_a_policy_in_force_is_never_edited_but_a_coming_one_may_be(registry: PolicyRegistry, directory: Path):
    """Every past verdict can be given again."""
    coming, in_force = _henan(directory, "2022-09-01"), _henan(directory, "2022-07-01")
    coming.write_text(coming.read_text(encoding="utf-8").replace("hours: 48", "hours: 24"), encoding="utf-8")
    assert registry.refresh() is True
    in_force.write_text(in_force.read_text(encoding="utf-8").replace("hours: 48", "hours: 24"), encoding="utf-8")
    assert registry.refresh() is False
    with pytest.raises(Degraded, match="410000-2022-07-01 is in force and cannot be edited"):
        await registry.ping()


async def test_what_has_come_into_force_since_is_not_edited_either(directory: Path):
    """It is the present instant that counts, not that of loading."""
    now = NOW
    registry = PolicyRegistry(directory, lambda: now)
    now = Instant(NOW + 60 * DAY)
    path = _henan(directory, "2022-09-01")
    path.write_text(path.read_text(encoding="utf-8").replace("hours: 48", "hours: 24"), encoding="utf-8")
    assert registry.refresh() is False


def test_a_mounted_config_map_is_read_once(tmp_path: Path, directory: Path):
    """Kubernetes mounts files as links into a hidden directory that is swapped as a whole."""
    mount = tmp_path / "mount"
    hidden = mount / "..2022_08_09"
    hidden.mkdir(parents=True)
    for number, path in enumerate(sorted(directory.glob("*/20??-??-??.yaml"))):
        shutil.copy(path, hidden / f"{number}.yaml")
        os.symlink(Path("..data") / f"{number}.yaml", mount / f"{number}.yaml")
    os.symlink(hidden.name, mount / "..data")
    registry = PolicyRegistry(mount, lambda: NOW)
    assert [policy.ref.policy_id for policy in registry.policies.versions("410000")] == [
        "410000-2022-07-01",
        "410000-2022-09-01",
    ]
    swapped = mount / "..2022_08_10"
    shutil.copytree(hidden, swapped)
    (swapped / "1.yaml").write_text(
        (swapped / "1.yaml").read_text(encoding="utf-8").replace("2022-09-01T", "2022-09-02T")
    )
    os.symlink(swapped.name, mount / "..new")
    os.replace(mount / "..new", mount / "..data")
    assert registry.refresh() is True
    assert registry.policies.by_id("410000-2022-09-02") is not None


async def test_a_first_set_that_is_bad_is_no_set(directory: Path):
    """There is no last good one to keep."""
    _next_version(directory, mode="moud")
    with pytest.raises(PolicyFileError):
        PolicyRegistry(directory, lambda: NOW)


async def test_a_volume_that_was_empty_for_a_while_is_no_trouble_afterwards(registry: PolicyRegistry, directory: Path):
    """Meanwhile the last good set is in use, the component degraded; with its files back as they were, it is well."""
    policies, away = registry.policies, directory.parent / "away"
    _exchange(directory, away)
    assert not registry.refresh()
    with pytest.raises(Degraded, match="no policies"):
        await registry.ping()
    assert policies is registry.policies
    _exchange(directory, away)
    registry.refresh()
    await registry.ping()
    assert policies.digests == registry.policies.digests


async def test_a_volume_that_is_empty_from_the_start_is_refused(tmp_path: Path):
    """Everybody's code would be undetermined, and nobody would know why."""
    with pytest.raises(FileNotFoundError, match="no policies"):
        PolicyRegistry(tmp_path, lambda: NOW)


class _Nobody:
    """A lookup that knows nobody, and when it was asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def BatchGetEvidence(self, request: BatchGetEvidenceRequest) -> BatchGetEvidenceResponse:
        return BatchGetEvidenceResponse(
            evidence=[
                Evidence(
                    region=query.region,
                    scope=Scope.SCOPE_NATIONAL,
                    coverage=[SourceCoverage(source="nation", status=SourceStatus.SOURCE_STATUS_OK)],
                    known_at=query.known_at if query.HasField("known_at") else to_timestamp(self._clock()),
                )
                for query in request.queries
            ],
            identity=lookup_identity(),
        )


async def test_a_policy_that_is_added_changes_nothing_that_was_said(directory: Path):
    """It starts later: until when a verdict is fresh, and what is judged of a coming day, was said without it."""
    now = NOW

    def clock() -> Instant:
        return now

    registry = PolicyRegistry(directory, clock)
    servicer = VerdictServicer(registry, _Nobody(clock), LOOKUP, PersonKeys(SECRET.encode()), clock, "test")
    coming = parse_rfc3339(LATER)

    async def ask(at: Instant | None = None, known_at: Instant | None = None) -> Verdict:
        query = VerdictQuery(
            subject=Subject(person_key=bytes(16)),
            region="410000",
            at=None if at is None else to_timestamp(at),
            known_at=None if known_at is None else to_timestamp(known_at),
        )
        request = ComputeVerdictRequest(query=query, purpose=Purpose.PURPOSE_SHOW_CODE)
        return (await servicer.ComputeVerdict(request)).verdict

    given = [await ask(), await ask(coming)]
    text = _henan(directory, "2022-09-01").read_text(encoding="utf-8")
    for date in ("2022-08-20", "2022-09-15"):
        _henan(directory, date).write_text(text.replace("2022-09-01T", f"{date}T"), encoding="utf-8")
    assert registry.refresh() is True
    now = Instant(NOW + SECOND)
    after = [await ask(), await ask(coming)]
    assert [from_timestamp(verdict.fresh_until) for verdict in (given[0], after[0])] == [
        parse_rfc3339("2022-09-01T00:00:00+08:00"),
        parse_rfc3339("2022-08-20T00:00:00+08:00"),
    ]
    assert [verdict.policy.policy_id for verdict in (given[1], after[1])] == ["410000-2022-09-01", "410000-2022-09-15"]
    for verdict in given + after:
        again = await ask(from_timestamp(verdict.at), from_timestamp(verdict.computed_at))
        assert again.SerializeToString(deterministic=True) == verdict.SerializeToString(deterministic=True)


async def test_what_is_being_judged_while_a_policy_is_taken_is_judged_by_one_set(
    registry: PolicyRegistry, directory: Path
):
    """A lookup's clock may be a little ahead: what was judged at its instant is judged so again."""
    ahead = Instant(NOW + SECOND // 2)
    before = registry.as_known(ahead)
    _next_version(directory)
    assert registry.refresh() is True
    assert registry.as_known(ahead) is before
    assert registry.as_known(Instant(ahead + 1)) is registry.policies is not before
    assert registry.as_known(Instant(0)) is before


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: " + "[" * 100_000, "nested deeper than 20"),
        ("a: " + "{b: " * 21 + "1" + "}" * 21, "nested deeper than 20"),
        ("# " + "x" * 300_000, "larger than"),
    ],
    ids=["brackets", "mappings", "size"],
)
async def test_a_file_too_deep_or_too_large_is_refused(registry: PolicyRegistry, directory: Path, text, complaint: str):
    """It is named, the last good set serves on, and no reader crashes."""
    before = registry.policies
    _next_version(directory).write_text(text, encoding="utf-8")
    assert registry.refresh() is False
    assert registry.policies is before
    with pytest.raises(Degraded, match=complaint):
        await registry.ping()


async def test_files_are_read_beside_the_event_loop(directory: Path, monkeypatch):
    """A large file must not stop the answers to others."""
    registry = PolicyRegistry(directory, lambda: NOW, poll=0.01)
    threads: list[threading.Thread] = []
    read = PolicyRegistry._read

    def noting_the_thread(self):
        threads.append(threading.current_thread())
        return read(self)

    monkeypatch.setattr(PolicyRegistry, "_read", noting_the_thread)
    _next_version(directory)
    watching = asyncio.create_task(registry.watch())
    async with asyncio.timeout(10):
        while registry.policies.by_id("410000-2022-10-01") is None:
            await asyncio.sleep(0.01)
    watching.cancel()
    assert threading.main_thread() not in threads
