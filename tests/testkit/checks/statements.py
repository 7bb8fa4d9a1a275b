"""The statements that a PostgreSQL store really sends to its database, and all that it could send."""

import ast
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

VERB = re.compile(r"\s*(select|insert|update|delete|with|copy)\b", re.IGNORECASE)


class Sent(NamedTuple):
    """A statement and the arguments it was sent with; COPY as `copy TABLE (COLUMNS)`, with none."""

    query: str
    arguments: Sequence[Any]


_TABLE = re.compile(r"\b(?:from|join|into|update|using|copy) (?:only )?([a-z_]+)\b(?!\()")


_NAMED = re.compile(r"(?:with|,) (\w+) as (?:materialized )?\(")


def tables_of(query: str) -> set[str]:
    """The tables that a statement on one line names."""
    return set(_TABLE.findall(query)) - {"lateral", "unnest", "select", "set"} - set(_NAMED.findall(query))


def squeezed(query: str) -> str:
    """A statement on one line."""
    return " ".join(query.split())


@contextmanager
def recorded() -> Iterator[list[Sent]]:
    """Every statement of the pools that are opened within, in order, whether by fetching, cursor or COPY."""
    sent: list[Sent] = []

    class Recording(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
        """A connection that notes what asyncpg's own query log leaves out."""

        def cursor(self, query: str, *arguments: Any, **options: Any) -> Any:
            """Noted."""
            sent.append(Sent(squeezed(query), arguments))
            return super().cursor(query, *arguments, **options)

        async def copy_to_table(self, table: str, **options: Any) -> Any:
            """Noted."""
            sent.append(Sent(f"copy {table} ({', '.join(options['columns'])})", ()))
            return await super().copy_to_table(table, **options)

        async def copy_records_to_table(self, table: str, **options: Any) -> Any:
            """Noted."""
            sent.append(Sent(f"copy {table} ({', '.join(options['columns'])})", ()))
            return await super().copy_records_to_table(table, **options)

    def note(query: Any) -> None:
        arguments = query.args
        if arguments and isinstance(arguments[0], tuple):
            # Of executemany, the first.
            arguments = arguments[0]
        if VERB.match(query.query):
            sent.append(Sent(squeezed(query.query), arguments))

    create_pool = asyncpg.create_pool

    def recording_pool(*args: Any, init: Any, **options: Any) -> Any:
        async def noted(connection: asyncpg.Connection) -> None:
            connection.add_query_logger(note)
            await init(connection)

        return create_pool(*args, connection_class=Recording, init=noted, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncpg, "create_pool", recording_pool)
        yield sent


def written(sources: Sequence[Path]) -> dict[str, re.Pattern[str]]:
    """Every statement that stands in these modules, by where it stands, as a pattern of what is sent, without its
    spaces: what is filled in at run time matches anything."""
    found: dict[str, re.Pattern[str]] = {}
    for source in sources:
        tree = ast.parse(source.read_text(encoding="utf-8"))
        # Parts of others, and docstrings.
        inner = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        inner |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if node in inner or not isinstance(node, ast.Constant | ast.JoinedStr):
                continue
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts = [part.value if isinstance(part, ast.Constant) else None for part in parts]
            if isinstance(texts[0], str) and VERB.match(texts[0]):
                pieces = [".*" if text is None else re.escape(closed(str(text))) for text in texts]
                found[f"{source.name}:{node.lineno}"] = re.compile("".join(pieces))
    return found


def closed(query: str) -> str:
    """A statement without any space."""
    return "".join(query.split())
