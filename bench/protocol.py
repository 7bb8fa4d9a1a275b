"""The protocol of a benchmark, and the measuring of two things in turn."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from bench.report import Report
from services.common.errors import Text

Figure = TypeVar("Figure")


class Benchmark(Protocol):
    """One benchmark. It starts what it needs, on ephemeral ports of loopback, and ends it whatever happens."""

    title: Text

    async def run(self, rounds: int) -> Report:
        """Measures the yardstick and ours, `rounds` times each, in turn. Raises CannotRunError."""


class CannotRunError(Exception):
    """This machine lacks what a benchmark needs; the text says what."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(zh, en)
        self.text = Text(zh, en)


async def in_turn(rounds: int, *measures: Callable[[], Awaitable[Figure]]) -> list[tuple[Figure, ...]]:
    """Measures each once without counting it, then `rounds` times in turn; the figures of each.

    Every other round goes backwards: on a machine that slows down or speeds up meanwhile, none is always the later.
    """
    for measure in measures:
        await measure()
    figures: list[list[Figure]] = [[] for _ in measures]
    numbers = range(len(measures))
    for turn in range(rounds):
        for number in numbers if turn % 2 == 0 else reversed(numbers):
            figures[number].append(await measures[number]())
    return [tuple(series) for series in figures]
