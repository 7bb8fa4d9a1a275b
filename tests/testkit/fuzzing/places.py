"""The places where a number that was asked about may turn up, and must not."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import redis

from tests.testkit.fuzzing.values import NUMBERS

_WRITTEN = tuple((number, form) for number in NUMBERS for form in {number.encode(), number.lower().encode()})
_IN_PIECES = 8 * 1024 * 1024
_LONGEST = max(len(form) for _, form in _WRITTEN)


def numbers_in(content: bytes) -> list[str]:
    """Returns the numbers that stand in some bytes."""
    return sorted({number for number, form in _WRITTEN if form in content})


def leaks(data: Path, elsewhere: Mapping[str, bytes]) -> Iterator[str]:
    """Yields each place where a number that was asked about turns up: a file of the mesh, or what is given by name."""
    for path in sorted(data.rglob("*")):
        if path.is_file():
            for number in sorted(set(_numbers_of(path))):
                yield f"{path.relative_to(data)}: {number}"
    for where, content in elsewhere.items():
        for number in numbers_in(content):
            yield f"{where}: {number}"


def _numbers_of(path: Path) -> Iterator[str]:
    kept = b""
    with path.open("rb") as file:
        while piece := file.read(_IN_PIECES):
            yield from numbers_in(kept + piece)
            kept = piece[-_LONGEST:]


def redis_content(url: str) -> bytes:
    """Returns all that a Redis holds: every key, with its value as the server itself writes it down."""
    with redis.Redis.from_url(url) as client:
        keys = list(client.scan_iter(count=1_000))
        return b"\n".join(part for key in keys for part in (key, client.dump(key) or b""))
