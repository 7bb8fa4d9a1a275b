"""Reads policy files. Every complaint names the file and the line.

A policy is one YAML document. Instants stay text until they are checked to have an offset, and a key given twice is an
error: YAML alone would take the last silently.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from services.common.regions import NATION
from services.verdict.domain.compiled import (
    CompiledNotice,
    CompiledPolicy,
    PolicyError,
    compile_notice,
    compile_policy,
)
from services.verdict.domain.policy import NoticeFile, PolicyFile
from services.verdict.domain.policy_set import OverlappingPolicies, PolicySet

DEFAULT_DIRECTORY = Path(__file__).parents[1] / "policies"
"""The policies that come with the software."""

CASES_SUFFIX = ".cases.yaml"

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PATH = re.compile(r" - at `(\$[^`]*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `([^`]*)`")


class PolicyFileError(Exception):
    """A policy file cannot be used; `where` is file:line."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where
        self.message = message


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document as plain data, with the line each path such as $.clauses[0].id stands on."""

    data: object
    lines: dict[str, int]

    def line(self, path: str) -> int:
        """The line of a path, or of the nearest thing that encloses it."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy or a notice with the file it came from."""

    path: Path
    text: str
    document: Document
    policy: CompiledPolicy | CompiledNotice

    def where(self, path: str = "$") -> str:
        """file:line of a path in it."""
        return f"{self.path}:{self.document.line(path)}"


def read_yaml(text: str, name: str) -> Document:
    """The document of a YAML text. Raises PolicyFileError, `name` being the file's."""
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=_Loader)):
            raise PolicyFileError(f"{name}:1", "aliases (*) are not used in policies")
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        # What is missing at the end is missing in the last line.
        line = min(mark.line + 1, len(text.splitlines())) if mark is not None else 1
        problem = getattr(error, "problem", None) or str(error)
        raise PolicyFileError(f"{name}:{line}", f"not YAML: {problem}") from None
    if root is None:
        raise PolicyFileError(f"{name}:1", "the file is empty")
    lines: dict[str, int] = {}
    return Document(_plain(root, "$", lines, name), lines)


def _plain(node: Any, path: str, lines: dict[str, int], name: str) -> object:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, object] = {}
        for key, value in node.value:
            where = f"{name}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise PolicyFileError(where, "a key must be plain text")
            if key.value in mapping:
                raise PolicyFileError(where, f"the key {key.value} is given twice")
            mapping[key.value] = _plain(value, f"{path}.{key.value}", lines, name)
            lines[f"{path}.{key.value}"] = key.start_mark.line + 1
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, f"{path}[{position}]", lines, name) for position, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: Any) -> object:
    match node.tag.rpartition(":")[2]:
        case "int":
            return int(node.value) if re.fullmatch(r"[-+]?\d{1,18}", node.value) else node.value
        case "float":
            return float(node.value) if re.fullmatch(r"[-+]?\d+\.\d+", node.value) else node.value
        case "bool":
            return node.value.lower() in ("true", "yes", "on")
        case "null":
            return None
        case _:
            return node.value


def place(message: str) -> str:
    """The path a validation error is about: that of the unknown field itself, not of what holds it."""
    found, unknown = _PATH.search(message), _UNKNOWN.match(message)
    path = found[1] if found else "$"
    return f"{path}.{unknown[1]}" if unknown else path


def parse_policy(text: str, path: Path) -> LoadedPolicy:
    """The policy or notice in a file's text. Raises PolicyFileError at the first thing wrong."""
    name = str(path)
    document = read_yaml(text, name)
    data = document.data
    nation = isinstance(data, dict) and data.get("region") == NATION
    try:
        if nation:
            compiled: CompiledPolicy | CompiledNotice = compile_notice(msgspec.convert(data, NoticeFile))
        else:
            compiled = compile_policy(msgspec.convert(data, PolicyFile))
    except msgspec.ValidationError as error:
        message = str(error)
        at = place(message)
        raise PolicyFileError(f"{name}:{document.line(at)}", message) from None
    except PolicyError as error:
        raise PolicyFileError(f"{name}:{document.line(error.path)}", f"{error.message} - at `{error.path}`") from None
    return LoadedPolicy(path, text, document, compiled)


def policy_paths(directory: Path) -> list[Path]:
    """The policy files below a directory, in order: every *.yaml but the cases, and nothing hidden, such as the data
    directories of a mounted ConfigMap. Raises OSError when there is no such directory, or no
    policy in it: an empty volume must not undetermine everybody."""
    if not directory.is_dir():
        raise NotADirectoryError(f"no such directory of policies: {directory}")
    found: list[Path] = []
    for root, folders, names in os.walk(directory, followlinks=True):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        found += [
            Path(root, name)
            for name in names
            if name.endswith(".yaml") and not name.endswith(CASES_SUFFIX) and not name.startswith(".")
        ]
    if not found:
        raise FileNotFoundError(f"no policies, *.yaml, in {directory}")
    return sorted(found)


def assemble(loaded: Iterable[LoadedPolicy]) -> PolicySet:
    """The set these files make. Raises PolicyFileError for overlaps."""
    everything = list(loaded)
    policies = [item.policy for item in everything if isinstance(item.policy, CompiledPolicy)]
    notices = [item.policy for item in everything if isinstance(item.policy, CompiledNotice)]
    try:
        return PolicySet(policies, notices)
    except OverlappingPolicies as error:
        twice = [item for item in everything if item.policy.ref.policy_id == error.policy_id]
        others = ", ".join(item.where("$.effective_from") for item in twice[1:])
        raise PolicyFileError(twice[0].where("$.effective_from"), f"{error}; the other: {others}") from None


def load_directory(directory: Path = DEFAULT_DIRECTORY) -> PolicySet:
    """The set of policies below a directory. Raises PolicyFileError or OSError."""
    return assemble(parse_policy(path.read_text(encoding="utf-8"), path) for path in policy_paths(directory))
