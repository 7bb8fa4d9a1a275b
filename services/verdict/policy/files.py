"""Reads policy files, each one YAML document, into a set. Every complaint names the file and the line."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.common.regions import NATION
from services.verdict.domain.policy.compiled import (
    CompiledNotice,
    CompiledPolicy,
    PolicyError,
    compile_notice,
    compile_policy,
)
from services.verdict.domain.policy.contents import NoticeFile, PolicyFile
from services.verdict.domain.policy.policy_set import OverlappingPolicies, PolicySet
from services.verdict.policy.yaml_document import MOST_BYTES, Document, PolicyFileError, read_yaml

DEFAULT_DIRECTORY = Path(__file__).parents[1] / "policies"
"""The policies that come with the software."""

CASES_SUFFIX = ".cases.yaml"

_PATH = re.compile(r" - at `(\$[^`]*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `([^`]*)`")


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy or a notice with the file it came from."""

    path: Path
    text: str
    document: Document
    policy: CompiledPolicy | CompiledNotice

    def where(self, path: str = "$") -> str:
        """Returns file:line of a path in it."""
        return f"{self.path}:{self.document.line(path)}"


def error_path(message: str) -> str:
    """Returns the path that a validation error is about: that of the unknown field itself, not of what holds it."""
    enclosing, unknown = _PATH.search(message), _UNKNOWN.match(message)
    path = enclosing[1] if enclosing else "$"
    return f"{path}.{unknown[1]}" if unknown else path


def parse_policy(text: str, path: Path) -> LoadedPolicy:
    """Reads the policy or notice in a file's text. Raises PolicyFileError at the first thing wrong."""
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
        at = error_path(message)
        raise PolicyFileError(f"{name}:{document.line(at)}", message) from None
    except PolicyError as error:
        raise PolicyFileError(f"{name}:{document.line(error.path)}", f"{error.message} - at `{error.path}`") from None
    return LoadedPolicy(path, text, document, compiled)


def policy_paths(directory: Path) -> list[Path]:
    """Returns the policy files below a directory, in order: every *.yaml but the cases, and nothing hidden, such as the
    data directories of a mounted ConfigMap. Raises OSError when there is no such directory, or no policy in it: an
    empty volume must not undetermine everybody."""
    if not directory.is_dir():
        raise NotADirectoryError(f"no such directory of policies: {directory}")
    paths: list[Path] = []
    for root, folders, names in os.walk(directory, followlinks=True):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        paths += [
            Path(root, name)
            for name in names
            if name.endswith(".yaml") and not name.endswith(CASES_SUFFIX) and not name.startswith(".")
        ]
    if not paths:
        raise FileNotFoundError(f"no policies, *.yaml, in {directory}")
    return sorted(paths)


def assemble(loaded: Iterable[LoadedPolicy]) -> PolicySet:
    """Returns the set that these files make. Raises PolicyFileError for overlaps."""
    everything = list(loaded)
    policies = [item.policy for item in everything if isinstance(item.policy, CompiledPolicy)]
    notices = [item.policy for item in everything if isinstance(item.policy, CompiledNotice)]
    try:
        return PolicySet(policies, notices)
    except OverlappingPolicies as error:
        twice = [item for item in everything if item.policy.ref.policy_id == error.policy_id]
        others = ", ".join(item.where("$.effective_from") for item in twice[1:])
        raise PolicyFileError(twice[0].where("$.effective_from"), f"{error}; the other: {others}") from None


def read_policy(path: Path) -> LoadedPolicy:
    """Reads a policy file. Raises PolicyFileError, also where it is too large or not UTF-8, or OSError."""
    return parse_policy(decoded(read_bytes(path), path), path)


def read_bytes(path: Path) -> bytes:
    """Reads a file of at most MOST_BYTES. Raises PolicyFileError or OSError."""
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise PolicyFileError(f"{path}:1", f"larger than {MOST_BYTES} bytes, the most that a policy file may have")
    return content


def decoded(content: bytes, path: Path) -> str:
    """Returns the text of a file's bytes. Raises PolicyFileError where they are not UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise PolicyFileError(f"{path}:1", f"not UTF-8: {error.reason}") from None


def load_directory(directory: Path = DEFAULT_DIRECTORY) -> PolicySet:
    """Loads the set of policies below a directory. Raises PolicyFileError or OSError."""
    return assemble(read_policy(path) for path in policy_paths(directory))
