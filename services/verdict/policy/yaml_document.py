"""Reads YAML as plain data, each path with the line it stands on. Every complaint names the file and the line.

Instants stay text until they are checked to have an offset, and a key given twice is an error: YAML alone would take
the last silently. What a file may hold is bounded before anything is built of it: its size, and how deep it nests.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

MOST_BYTES = 256 * 1024
"""The largest file, in bytes; the largest policy that comes with the software has 3 kB."""

MOST_DEPTH = 20
"""How deep mappings and lists may nest; a policy nests to 6."""

# The loader in C where PyYAML was built with it; both have the same interface, which types-PyYAML does not say.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INTEGER = re.compile(r"[-+]?\d{1,18}")
_DECIMAL = re.compile(r"[-+]?\d+\.\d+")


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
        """Returns the line of a path, or of the nearest thing that encloses it."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


def read_yaml(text: str, name: str) -> Document:
    """Reads the document of a YAML text. Raises PolicyFileError, `name` being the file's."""
    if len(text.encode()) > MOST_BYTES:
        raise PolicyFileError(f"{name}:1", f"larger than {MOST_BYTES} bytes, the most that a policy file may have")
    try:
        _check_shape(text, name)
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


def _check_shape(text: str, name: str) -> None:
    """Walks the events one by one, without recursion: a million brackets end here and not in a crash."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise PolicyFileError(f"{name}:{_line(event)}", "aliases (*) are not used in policies")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MOST_DEPTH:
                raise PolicyFileError(f"{name}:{_line(event)}", f"nested deeper than {MOST_DEPTH}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _line(marked: Any) -> int:
    return int(marked.start_mark.line) + 1


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
            return int(node.value) if _INTEGER.fullmatch(node.value) else node.value
        case "float":
            return float(node.value) if _DECIMAL.fullmatch(node.value) else node.value
        case "bool":
            return node.value.lower() in ("true", "yes", "on")
        case "null":
            return None
        case _:
            return node.value
