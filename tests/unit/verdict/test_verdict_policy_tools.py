"""The tools for those who write policies."""

import json
import shutil
from pathlib import Path

import jsonschema
import msgspec
import pytest

from cli.main import main
from services.common.instants import parse_rfc3339
from services.verdict.domain.evidence.values import Evidence, Scope
from services.verdict.domain.judgement.judge import judge
from services.verdict.domain.policy.compiled import CompiledPolicy
from services.verdict.domain.policy.contents import content_hash
from services.verdict.domain.policy.policy_set import PolicySet
from services.verdict.domain.verdict import Status
from services.verdict.policy.files import (
    CASES_SUFFIX,
    DEFAULT_DIRECTORY,
    load_directory,
    parse_policy,
    policy_paths,
)
from services.verdict.policy.tools import schema
from services.verdict.policy.tools.check import check, comparisons
from services.verdict.policy.tools.strictness import counter_example
from services.verdict.policy.yaml_document import PolicyFileError, read_yaml

POLICY = """\
region: "140000"
effective_from: 2022-08-10T00:00:00+08:00
title: {zh: 甲, en: A}
clauses:
  - id: local
    text: {zh: 本地, en: Local}
    evidence: result
    origins: [local]
    window: {hours: 48, from: reported, edge: exclusive}
notice:
  mode: enforce
  window: {hours: 48, edge: exclusive}
days_since_test: {kept: anywhere}
pending: {hours: 24, edge: exclusive}
colours:
  recognised: green
  not_recognised: yellow
  pending: yellow
  positive: red
  retest_required: yellow
  undetermined: grey
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Returns the directory for the policy of the tests."""
    (tmp_path / "140000").mkdir()
    return tmp_path


def _write(home: Path, text: str = POLICY, name: str = "2022-08-10") -> Path:
    path = home / "140000" / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _run(*arguments: str | Path) -> int:
    return main(["policy", *map(str, arguments)])


def _codes(home: Path) -> list[tuple[str, str, str]]:
    return [(finding.severity.value, finding.code, finding.where.removeprefix(f"{home}/")) for finding in check([home])]


def test_the_policies_of_the_software_have_no_errors(capsys):
    """Two of them are stricter than the notice and say so: they report."""
    assert _run("check") == 0
    out = capsys.readouterr().out
    assert out.count("warning STRICTER_THAN_NOTICE") == 2
    assert "410000/2022-07-01.yaml" in out
    assert "310000/2022-06-01.yaml" in out


def test_the_cases_of_the_software_pass(capsys):
    """Every policy has some."""
    assert _run("test") == 0
    assert " 0 failed" in capsys.readouterr().out
    for path in policy_paths(DEFAULT_DIRECTORY):
        assert path.parent.name == "nation" or path.with_name(path.stem + CASES_SUFFIX).exists()


def test_the_published_schema_is_that_of_the_structs():
    """`python -m services.verdict.policy.tools.schema` writes it."""
    assert schema.PATH.read_text(encoding="utf-8") == schema.text()


def test_every_policy_satisfies_the_published_schema():
    """Whoever writes policies in an editor sees what the service will say."""
    published = json.loads(schema.PATH.read_text(encoding="utf-8"))
    for path in policy_paths(DEFAULT_DIRECTORY):
        jsonschema.validate(read_yaml(path.read_text(encoding="utf-8"), str(path)).data, published)


def test_every_mainland_region_has_a_policy_and_the_others_have_none():
    """Taiwan, Hong Kong and Macao are outside the notice."""
    policies = load_directory()
    assert len(policies.regions()) == 31
    assert not {"710000", "810000", "820000"} & set(policies.regions())


def test_a_good_policy_has_no_findings(home: Path):
    """The one the other tests spoil."""
    _write(home)
    assert _codes(home) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "complaint"),
    [
        ("2022-08-10T00:00:00+08:00", "2022-08-10T00:00:00", 2, "effective_from"),
        ("2022-08-10T00:00:00+08:00", "2022-13-10T00:00:00+08:00", 2, "effective_from"),
        ("hours: 48, from: reported", "hours: 0, from: reported", 9, "hours"),
        ("edge: exclusive}\nnotice", "edge: fuzzy}\nnotice", 9, "edge"),
        (", edge: exclusive}\nnotice", "}\nnotice", 9, "edge"),
        ("origins: [local]", "origins: [nearby]", 8, "origins"),
        ("origins: [local]", 'origins: ["bloc:atlantis"]', 8, "atlantis"),
        ("origins: [local]", 'origins: ["190000"]', 8, "190000"),
        ("evidence: result", "evidence: sampling_record", 9, "sampling record"),
        ("    evidence: result\n", "    evidence: result\n    colour: red\n", 8, "colour"),
        ("  pending: yellow\n", "", 15, "pending"),
        ("  pending: yellow\n", "  pending: blue\n", 18, "pending"),
        ('region: "140000"', "region: 140000", 1, "region"),
        ('region: "140000"', 'region: "190000"', 1, "190000"),
        ("title: {zh: 甲, en: A}", "title: {zh: 甲}", 3, "en"),
        ("  mode: enforce\n", "  mode: enforce\n  mode: report\n", 12, "given twice"),
        ("  mode: enforce", "  mode: [enforce", 12, "not YAML"),
    ],
)
def test_a_policy_that_breaks_the_schema_is_named_with_its_line(home: Path, old, new, line: int, complaint: str):
    """File, line, and what is wrong."""
    assert old in POLICY
    path = _write(home, POLICY.replace(old, new))
    with pytest.raises(PolicyFileError, match=complaint) as caught:
        parse_policy(path.read_text(encoding="utf-8"), path)
    assert caught.value.where == f"{path}:{line}"
    assert _codes(home) == [("error", "SCHEMA", f"140000/2022-08-10.yaml:{line}")]
    assert _run("check", home) == 1


def test_two_clauses_with_one_id_are_refused(home: Path):
    """A ground names its clause by id."""
    clause = POLICY[POLICY.index("  - id") : POLICY.index("notice:")]
    _write(home, POLICY.replace("notice:", clause + "notice:", 1))
    assert _codes(home) == [("error", "SCHEMA", "140000/2022-08-10.yaml:10")]


def test_a_count_that_cannot_fit_is_refused(home: Path):
    """Three tests a day apart do not fit into a day."""
    _write(home, POLICY.replace("\nnotice:", "\n    count: {tests: 4, apart_hours: 24}\nnotice:", 1))
    assert _codes(home) == [("error", "SCHEMA", "140000/2022-08-10.yaml:10")]


def test_policies_that_start_together_overlap(home: Path):
    """Which of them would be in force?"""
    _write(home)
    _write(home, POLICY.replace("00:00:00+08:00", "00:00:00+08:00 # again"), "again")
    assert _codes(home) == [("error", "OVERLAP", "140000/again.yaml:2")]


def test_a_clause_that_a_wider_one_implies_is_found(home: Path):
    """The narrower never decides."""
    wider = """\
  - id: wider
    text: {zh: 任何地区, en: Anywhere}
    evidence: result
    origins: [anywhere]
    window: {hours: 48, from: reported, edge: inclusive}
"""
    text = POLICY.replace("hours: 48, edge: exclusive}\ndays", "hours: 48, edge: inclusive}\ndays")
    _write(home, text.replace("notice:\n", wider + "notice:\n", 1))
    assert _codes(home) == [("error", "UNREACHABLE_CLAUSE", "140000/2022-08-10.yaml:5")]


def test_clauses_that_each_reach_further_somewhere_are_left_alone(home: Path):
    """A longer window from fewer places, a shorter one from more."""
    other = """\
  - id: other
    text: {zh: 任何地区, en: Anywhere}
    evidence: result
    origins: [anywhere]
    window: {hours: 24, from: sampled, edge: inclusive}
"""
    _write(home, POLICY.replace("notice:\n", other + "notice:\n", 1))
    assert _codes(home) == []


@pytest.mark.parametrize(
    ("old", "new", "severity"),
    [
        ("mode: enforce", "mode: report", "warning"),
        ("window: {hours: 48, edge: exclusive}\ndays", "window: {hours: 24, edge: exclusive}\ndays", "error"),
        ("from: reported, edge: exclusive", "from: reported, edge: inclusive", "error"),
    ],
    ids=["refuses openly", "a shorter window for those from elsewhere", "the edge differs"],
)
def test_a_policy_stricter_than_the_notice_is_shown_by_a_counter_example(home: Path, old, new, severity: str):
    """A person, a test and an instant, which the engine confirms."""
    path = _write(home, POLICY.replace(old, new))
    findings = check([home])
    assert [(finding.severity, finding.code) for finding in findings] == [(severity, "STRICTER_THAN_NOTICE")]
    assert findings[0].where == f"{path}:10"
    assert "反例" in findings[0].text.zh

    policy = parse_policy(path.read_text(encoding="utf-8"), path).policy
    assert isinstance(policy, CompiledPolicy)
    policies = PolicySet([policy], load_directory().notices)
    found = counter_example(policy, policies)
    assert found is not None
    record, window = found.record, found.window
    assert record.reported_at is not None
    assert record.reported_at <= found.at <= record.reported_at + window.length
    evidence = Evidence(region="140000", scope=Scope.NATIONAL, records=(record,))
    assert judge(evidence, policies, found.at, found.at).status == Status.NOT_RECOGNISED
    # The same test, taken here, is recognised at that instant, or the region refuses the notice openly.
    local = msgspec.structs.replace(record, region="140000", origin=None)
    twin = judge(msgspec.structs.replace(evidence, records=(local,)), policies, found.at, found.at)
    assert twin.status == Status.RECOGNISED


def test_before_the_notice_binds_nothing_is_stricter_than_it(home: Path):
    """A policy that ends before it is not measured by it."""
    _write(home, POLICY.replace("2022-08-10T", "2022-06-10T").replace("mode: enforce", "mode: report"), "2022-06-10")
    _write(home, POLICY.replace("2022-08-10T", "2022-07-29T"), "2022-07-29")
    assert _codes(home) == []


def test_the_wrong_file_name_is_a_warning(home: Path):
    """A policy is looked for by region and date."""
    _write(home, name="august")
    assert _codes(home) == [("warning", "FILE_NAME", "140000/august.yaml:2")]


def test_an_edit_of_what_is_in_use_is_found(tmp_path: Path, capsys):
    """Where a running service would not take it; a version that starts later it would."""
    used = tmp_path / "used"
    shutil.copytree(DEFAULT_DIRECTORY, used)
    policy = used / "410000" / "2022-07-01.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("hours: 48", "hours: 24"), encoding="utf-8")
    assert _run("check", "--in-use", DEFAULT_DIRECTORY) == 0
    capsys.readouterr()
    assert _run("check", "--in-use", used) == 1
    said = capsys.readouterr().out
    assert f"{DEFAULT_DIRECTORY / '410000' / '2022-07-01.yaml'}:" in said
    assert "IN_FORCE" in said
    assert "410000-2022-07-01 is in force and cannot be edited" in said
    policy.write_text("region: [", encoding="utf-8")
    assert _run("check", "--in-use", used) == 2


def test_a_failing_case_is_shown_with_what_was_got(home: Path, capsys):
    """And the status is 1."""
    path = _write(home)
    cases = path.with_name("2022-08-10" + CASES_SUFFIX)
    cases.write_text(
        'region: "140000"\ncases:\n  - name: wrong\n    at: {2022-08-11T00:00:00+08:00: {status: recognised}}\n',
        encoding="utf-8",
    )
    assert _run("test", home) == 1
    assert _run("test", cases) == 1
    out = capsys.readouterr().out
    assert f"{cases}:3: wrong" in out
    assert "status: expected recognised, got not_recognised" in out


@pytest.mark.parametrize("arguments", [("check", "nowhere"), ("test", "nowhere"), ("explain", "000000")])
def test_what_cannot_be_read_is_status_2(arguments, capsys):
    """With a line on standard error."""
    assert _run(*arguments) == 2
    assert capsys.readouterr().err.startswith("hutong policy: ")


def test_a_policy_is_explained_in_chinese_first(capsys):
    """The policy in force at the instant asked."""
    assert _run("explain", "310000", "--at", "2022-08-04T23:59:59+08:00") == 0
    before = capsys.readouterr().out
    assert _run("explain", "310000", "--at", "2022-08-05T00:00:00+08:00") == 0
    after = capsys.readouterr().out
    assert before.startswith("随申码核酸互认（自采样起计时）")
    assert "310000-2022-06-01" in before
    assert "尚未执行国家互认通知" in before
    assert "Suishenma: recognition, counted from the report (Shanghai)" in after
    assert "Carries out the national notice" in after


def test_every_policy_can_be_explained():
    """At the instant it starts."""
    policies = load_directory()
    from services.verdict.policy.tools.explain import explain

    for policy in policies.all_policies():
        assert policy.ref.policy_id in explain(policies, policy.ref.region, policy.starts)


def test_the_hash_is_of_what_a_policy_says(home: Path):
    """Comments, order, layout and another way to write the same instant change nothing; a changed word does."""

    def hashed(text: str) -> bytes:
        policy = parse_policy(text, home / "x.yaml").policy
        assert policy.ref.content_hash == content_hash(policy.source)
        return policy.ref.content_hash

    same = [
        "# A comment.\n" + POLICY,
        POLICY.replace("2022-08-10T00:00:00+08:00", "2022-08-09T16:00:00Z"),
        "\n".join(POLICY.splitlines()[1:] + POLICY.splitlines()[:1]),
        POLICY + "clearance: {negatives: 2, apart_hours: 24, tubes: [single]}\n",
    ]
    assert {hashed(text) for text in same} == {hashed(POLICY)}
    assert hashed(POLICY.replace("本地", "当地")) != hashed(POLICY)
    assert parse_policy(same[1], home / "x.yaml").policy.starts == parse_rfc3339("2022-08-10T00:00:00+08:00")


def test_the_directory_of_the_software_can_be_copied_and_used_elsewhere(tmp_path: Path):
    """Policies know nothing of where they are."""
    shutil.copytree(DEFAULT_DIRECTORY, tmp_path / "elsewhere")
    assert load_directory(tmp_path / "elsewhere").digests == load_directory().digests


def test_a_new_version_is_compared_with_its_predecessor_and_the_blocs_partners(capsys):
    """What changes, and for whom, in plain words; only where it is asked for."""
    assert _run("check") == 0
    assert " note " not in capsys.readouterr().out
    assert _run("check", "--compare") == 0
    out = capsys.readouterr().out
    assert "note PREDECESSOR" in out
    assert (
        "410000-2022-07-01 -> 410000-2022-09-01: the health code: tests from everywhere but Henan, not recognised"
        " -> 48 hours (inclusive) from report (gain)"
    ) in out
    assert (
        "310000-2022-08-05 -> 310000-2022-09-01: hospitals: tests from any region, 72 hours from report or 24 hours as"
        " a sampling record -> 48 hours from report (lose)"
    ) in out
    assert "510000-2022-07-01 -> 510000-2022-09-15: the clauses that ask for several tests differ" in out
    assert "note BLOC_PARTNER" in out


def test_a_comparison_says_where_nothing_is_asked(home: Path):
    """From a version that asks nothing everybody gains."""
    _write(home)
    nothing = POLICY[: POLICY.index("clauses:")] + "requires: nothing\n" + POLICY[POLICY.index("notice:") :]
    _write(home, nothing.replace("2022-08-10T", "2022-12-07T"), "2022-12-07")
    assert _codes(home) == []
    (finding,) = comparisons([home])
    assert finding.code == "PREDECESSOR"
    assert "nothing asked (gain)" in finding.text.en


@pytest.mark.parametrize(
    ("added", "line", "complaint"),
    [
        ("requires: nothing\n", 1, "either clauses, or requires: nothing"),
        ("scenes: [{scenes: [metro]}]\n", 22, "either clauses, or requires: nothing"),
        ("scenes: [{scenes: [moon], requires: nothing}]\n", 22, "scenes"),
        ("scenes: [{scenes: [bus, bus], requires: nothing}]\n", 22, "the scene bus has rules already"),
        ("exempt: {under_age: 0}\n", 22, "under_age"),
        ("exempt: {under: 3}\n", 22, "under"),
    ],
)
def test_wrong_scenes_and_exemptions_are_named_with_their_line(home: Path, added: str, line: int, complaint: str):
    """As whatever else is wrong."""
    path = _write(home, POLICY + added)
    with pytest.raises(PolicyFileError, match=complaint) as caught:
        parse_policy(path.read_text(encoding="utf-8"), path)
    assert caught.value.where == f"{path}:{line}"


def test_scenes_are_checked_and_explained(home: Path, capsys):
    """A scene's own window for those from elsewhere is measured by the notice as well; the explanation names it."""
    scenes = """\
scenes:
  - scenes: [hotel]
    clauses:
      - id: here
        text: {zh: 本地, en: Local}
        evidence: result
        origins: [local]
        window: {hours: 72, from: reported, edge: exclusive}
    notice: {mode: enforce, window: {hours: 48, edge: exclusive}}
  - scenes: [sights]
    requires: nothing
exempt: {under_age: 3}
"""
    _write(home, POLICY + scenes)
    assert _codes(home) == [("error", "STRICTER_THAN_NOTICE", "140000/2022-08-10.yaml:10")]
    assert _run("check", home) == 1
    assert "in hotels, inside the local window of 72 hours" in capsys.readouterr().out
    assert _run("explain", "140000", "--at", "2022-08-10T00:00:00+08:00", "--policies", home) == 0
    out = capsys.readouterr().out
    assert "在宾馆、旅店：" in out
    assert "In parks, sights and museums:\nNo test is required" in out
    assert "Under 3 years of age: no test is required" in out
