"""Checks policy files: the schema, overlaps, clauses that can never decide, and whether a policy is stricter than the
national notice."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from services.common.errors import Text
from services.common.instants import Instant
from services.verdict.domain.evidence.values import Scene
from services.verdict.domain.policy.compiled import CompiledNotice, CompiledPolicy
from services.verdict.domain.policy.policy_set import PolicyInForce, PolicySet
from services.verdict.policy.allowed_edits import edits_refused
from services.verdict.policy.files import (
    CASES_SUFFIX,
    DEFAULT_DIRECTORY,
    LoadedPolicy,
    policy_paths,
    read_policy,
)
from services.verdict.policy.tools.cases import read_cases
from services.verdict.policy.tools.comparison import differences, neighbours, same_counts
from services.verdict.policy.tools.findings import Finding, Severity
from services.verdict.policy.tools.reach import unreachable
from services.verdict.policy.tools.strictness import counter_example
from services.verdict.policy.yaml_document import PolicyFileError


def files(paths: Sequence[Path]) -> list[Path]:
    """Returns the policy files among the paths and below them; those that come with the software when none is given.
    Raises OSError when a path does not exist."""
    chosen: list[Path] = []
    for path in paths or [DEFAULT_DIRECTORY]:
        if path.is_dir():
            chosen += policy_paths(path)
        elif path.exists():
            # Cases stand for the policy they are beside.
            chosen.append(path.with_name(path.name.replace(CASES_SUFFIX, ".yaml")))
        else:
            raise FileNotFoundError(f"no such file or directory: {path}")
    return list(dict.fromkeys(chosen))


def check(paths: Sequence[Path]) -> list[Finding]:
    """Returns everything found in these files, by file and line. Raises OSError when one cannot be read."""
    findings: list[Finding] = []
    loaded: list[LoadedPolicy] = []
    for path in files(paths):
        try:
            loaded.append(read_policy(path))
        except PolicyFileError as error:
            findings.append(_schema(error))
        cases = path.with_name(path.stem + CASES_SUFFIX)
        if cases.exists():
            try:
                read_cases(cases)
            except PolicyFileError as error:
                findings.append(_schema(error))
    kept, overlaps = _overlaps(loaded)
    findings += overlaps
    policies = PolicySet(
        [item.policy for item in kept if isinstance(item.policy, CompiledPolicy)],
        notices(item.policy for item in kept),
    )
    for item in kept:
        findings += _file_name(item)
        if isinstance(item.policy, CompiledPolicy):
            findings += _unreachable(item, item.policy)
            findings += _stricter(item, item.policy, policies)
    return sorted(findings, key=lambda finding: (finding.severity, finding.where, finding.code))


def forbidden_edits(paths: Sequence[Path], used: Path, now: Instant) -> list[Finding]:
    """Returns what in these files may not, at this instant, take the place of the directory that is in use.

    Of each region that appears in them every policy is looked for. Raises PolicyFileError or OSError when
    a file cannot be used.
    """
    coming, in_use = _by_id(files(paths)), _by_id(policy_paths(used))
    regions = {item.policy.ref.region for item in coming.values()}
    in_use = {policy_id: item for policy_id, item in in_use.items() if item.policy.ref.region in regions}
    return [
        Finding(
            Severity.ERROR,
            "IN_FORCE",
            error.where,
            Text(f"运行中的服务不会采用：{error.message}", f"Not taken by a running service: {error.message}"),
        )
        for error in edits_refused(in_use, coming, now)
    ]


def _by_id(paths: Iterable[Path]) -> dict[str, LoadedPolicy]:
    loaded = (read_policy(path) for path in paths)
    return {item.policy.ref.policy_id: item for item in loaded}


def notices(versions: Iterable[CompiledPolicy | CompiledNotice]) -> list[CompiledNotice]:
    """Returns the notices among these; those that come with the software when there is none: the notice binds
    whatever directory a policy is written in."""
    given = [policy for policy in versions if isinstance(policy, CompiledNotice)]
    if given:
        return given
    own = [read_policy(path) for path in policy_paths(DEFAULT_DIRECTORY / "nation")]
    return [item.policy for item in own if isinstance(item.policy, CompiledNotice)]


def _schema(error: PolicyFileError) -> Finding:
    return Finding(
        Severity.ERROR,
        "SCHEMA",
        error.where,
        Text(f"不符合政策文件格式：{error.message}", f"Not a policy: {error.message}"),
    )


def _overlaps(loaded: Sequence[LoadedPolicy]) -> tuple[list[LoadedPolicy], list[Finding]]:
    first: dict[tuple[str, int], LoadedPolicy] = {}
    findings: list[Finding] = []
    for item in loaded:
        other = first.setdefault((item.policy.ref.region, item.policy.starts), item)
        if other is not item:
            findings.append(
                Finding(
                    Severity.ERROR,
                    "OVERLAP",
                    item.where("$.effective_from"),
                    Text(
                        f"与 {other.where('$.effective_from')} 同一地区、同一时刻生效",
                        f"Starts at the same instant, in the same region, as {other.where('$.effective_from')}",
                    ),
                )
            )
    return list(first.values()), findings


def _file_name(item: LoadedPolicy) -> list[Finding]:
    expected = item.policy.ref.policy_id.removeprefix(f"{item.policy.ref.region}-")
    if item.path.stem == expected and item.path.parent.name == item.policy.ref.region:
        return []
    return [
        Finding(
            Severity.WARNING,
            "FILE_NAME",
            item.where("$.effective_from"),
            Text(
                f"文件应为 {item.policy.ref.region}/{expected}.yaml",
                f"The file should be {item.policy.ref.region}/{expected}.yaml",
            ),
        )
    ]


def _unreachable(item: LoadedPolicy, policy: CompiledPolicy) -> list[Finding]:
    findings: list[Finding] = []
    sets = [("$", policy.general.clauses)]
    for number, entry in enumerate(policy.source.scenes or ()):
        rules = policy.rules(Scene[entry.scenes[0].upper()])
        sets.append((f"$.scenes[{number}]", rules.clauses))
    for path, clauses in sets:
        findings += [
            Finding(
                Severity.ERROR,
                "UNREACHABLE_CLAUSE",
                item.where(f"{path}.clauses[{position}].id"),
                Text(
                    f"条款 {clauses[position].id} 不起作用：凡满足它的都满足更宽的 {wider.id}",
                    f"The clause {clauses[position].id} never decides: what meets it meets {wider.id} for as long",
                ),
            )
            for position, wider in unreachable(clauses)
        ]
    return findings


def _stricter(item: LoadedPolicy, policy: CompiledPolicy, policies: PolicySet) -> list[Finding]:
    example = counter_example(policy, policies)
    if example is None:
        return []
    # A region that says openly that it does not carry the notice out yet is supervised, not stopped.
    enforces = policy.rules(example.scene).notice_rule.enforce
    severity = Severity.ERROR if enforces else Severity.WARNING
    return [Finding(severity, "STRICTER_THAN_NOTICE", item.where("$.notice"), example.text())]


def comparisons(paths: Sequence[Path]) -> list[Finding]:
    """Returns what each policy changes, and for whom, against its predecessor; and, of the last version of a region,
    what a partner of its bloc recognises otherwise. Raises PolicyFileError or OSError when a file cannot be used."""
    loaded = [read_policy(path) for path in files(paths)]
    policies = PolicySet(
        [item.policy for item in loaded if isinstance(item.policy, CompiledPolicy)],
        notices(item.policy for item in loaded),
    )
    findings: list[Finding] = []
    for item in loaded:
        if not isinstance(item.policy, CompiledPolicy):
            continue
        spans = [in_force for _, in_force in policies.spans(item.policy.ref.region)]
        first = next(number for number, in_force in enumerate(spans) if in_force.policy is item.policy)
        if first:
            findings += _compared(item, "PREDECESSOR", spans[first - 1], spans[first])
        if spans[-1].policy is item.policy:
            for partner in neighbours(policies, item.policy.ref.region):
                findings += _compared(item, "BLOC_PARTNER", spans[-1], partner)
    return findings


def _compared(item: LoadedPolicy, code: str, before: PolicyInForce, after: PolicyInForce) -> list[Finding]:
    texts = [difference.text() for difference in differences(before, after)]
    if not same_counts(before.policy.general, after.policy.general):
        texts.append(Text("要求多次检测的条款不同", "the clauses that ask for several tests differ"))
    ids = (before.policy.ref.policy_id, after.policy.ref.policy_id)
    return [
        Finding(
            Severity.NOTE,
            code,
            item.where("$.clauses"),
            Text(f"{ids[0]} → {ids[1]}：{text.zh}", f"{ids[0]} -> {ids[1]}: {text.en}"),
        )
        for text in texts
    ]
