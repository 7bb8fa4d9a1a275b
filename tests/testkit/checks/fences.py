"""Fences that import-linter has no words for: what is pure, and who may touch a driver. Read from the source alone."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HANDWRITTEN = ("services", "gateway", "cli", "bench")

DRIVERS = {"asyncpg", "psycopg", "redis", "sqlite3"}
IMPURE = DRIVERS | {
    "grpc",
    "asyncio",
    "httptools",
    "os",
    "random",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uvicorn",
}
CLOCKS = {"now", "today", "utcnow"}


@dataclass(frozen=True, slots=True)
class Rule:
    """Modules matching `where` (and not `but`) may not do what `forbidden` matches; `why` is for the one who did."""

    where: str
    forbidden: str
    why: str
    but: str = r"(?!)"


RULES = (
    Rule(
        r"services\.(common|\w+\.domain)(\..+)?",
        rf"({'|'.join(sorted(IMPURE))})(\..+)?",
        "a domain module is pure: no wire, no driver, no clock",
    ),
    Rule(
        r"services\.(common|\w+\.domain)(\..+)?",
        rf"clock: ({'|'.join(sorted(CLOCKS))})",
        "a domain module has no clock: the instant comes in as a value",
    ),
    Rule(
        r"services\.common(\..+)?",
        r"(services\.(?!common\b)|hutong\..*_pb2_grpc).*",
        "services.common imports nothing of ours but messages",
    ),
    Rule(
        r"services\.\w+\.domain(\..+)?",
        r"(services\.(?!common\b|\w+\.domain\b)|hutong\..*_pb2_grpc).*",
        "a domain module imports services.common, its own domain and messages",
    ),
    Rule(
        r"services\..+|gateway\..+",
        rf"({'|'.join(sorted(DRIVERS))})(\..+)?",
        "a driver is for stores, caches and what composes them",
        but=r"services\.\w+\.(store\..+|composition)|services\.runtime\.storage\..+"
        r"|gateway\.(codes\.cache\..+|(supervision|push)\.store\..+|composition)",
    ),
    Rule(
        r"services\..+|gateway\..+",
        r"services\.\w+\.store\.(sqlite|postgres)\w*(\..+)?|gateway\.codes\.cache\.redis(\..+)?|gateway\.(supervision|push)\.store\.(sqlite|postgres)",
        "only a composition module knows adapters",
        but=r"services\.\w+\.(store\..+|composition)|gateway\.(codes\.cache\..+|(supervision|push)\.store\..+|composition)",
    ),
    Rule(
        r"services\..+|gateway\..+",
        r"services\.runtime\.rpc\.channel(\..+)?",
        "channels are opened in composition roots alone",
        but=r"services\.runtime\..+|services\.\w+\.composition|gateway\.(composition|__main__)",
    ),
    Rule(
        r"services\..+|gateway\..+",
        r"grpc(\..+)?|hutong\..*_pb2_grpc(\..+)?",
        "servicers and clients are plain objects; services.runtime binds them to a wire",
        but=r"services\.runtime\..+",
    ),
)


def module_of(path: Path, root: Path) -> str:
    """The dotted name of a source file."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def deeds(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of everything a module imports, and of its calls of a clock."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            yield node.lineno, f"clock: {node.attr}"


def breaches(root: Path) -> list[str]:
    """Everything below the root that a rule forbids, one line each."""
    found = []
    for folder in HANDWRITTEN:
        for path in sorted((root / folder).rglob("*.py")):
            module = module_of(path, root)
            rules = [rule for rule in RULES if re.fullmatch(rule.where, module) and not re.fullmatch(rule.but, module)]
            for line, deed in deeds(path.read_text(encoding="utf-8")):
                found += [
                    f"{path.relative_to(root)}:{line}: {deed}: {rule.why}"
                    for rule in rules
                    if re.fullmatch(rule.forbidden, deed)
                ]
    return list(dict.fromkeys(found))
