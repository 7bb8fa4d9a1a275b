"""Finds benchmarks by name; a module whose name would be a keyword ends with an underscore.

A module is imported only when asked for: some need what is not installed everywhere.
"""

from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from pkgutil import iter_modules
from types import ModuleType

import bench.benchmarks
from bench.protocol import Benchmark, CannotRunError


def names(package: ModuleType = bench.benchmarks) -> list[str]:
    """The names of all benchmarks, in alphabetical order."""
    return sorted(
        module.name.rstrip("_").replace("_", "-") for module in iter_modules(package.__path__) if not module.ispkg
    )


def code_history(lengths: Sequence[int]) -> Benchmark:
    """The benchmark of codes by the length of the holder's past. Raises CannotRunError when what it imports is not
    installed."""
    try:
        from bench.code_history import CodeHistory
    except ModuleNotFoundError as error:
        raise CannotRunError(f"未安装 {error.name}", f"{error.name} is not installed") from error
    return CodeHistory(lengths)


def capacity(rows: Sequence[int]) -> Benchmark:
    """The benchmark of capacity with these numbers of rows. Raises CannotRunError when what it imports is not
    installed."""
    try:
        from bench.benchmarks.capacity import Capacity
    except ModuleNotFoundError as error:
        raise CannotRunError(f"未安装 {error.name}", f"{error.name} is not installed") from error
    return Capacity(rows)


def intake_into(store_url: str) -> Benchmark:
    """The benchmark of intake into a store that is there, beside one of its own. Raises CannotRunError when what it
    imports is not installed."""
    try:
        from bench.benchmarks.intake import IntakeInto
    except ModuleNotFoundError as error:
        raise CannotRunError(f"未安装 {error.name}", f"{error.name} is not installed") from error
    return IntakeInto(store_url)


def load(name: str, package: ModuleType = bench.benchmarks) -> Benchmark:
    """The benchmark of a name. Raises KeyError, and CannotRunError when what it imports is not installed."""
    if name not in names(package):
        raise KeyError(name)
    try:
        module = import_module(f"{package.__name__}.{name.replace('-', '_')}{'_' * iskeyword(name)}")
    except ModuleNotFoundError as error:
        raise CannotRunError(f"未安装 {error.name}", f"{error.name} is not installed") from error
    benchmark: Benchmark = module.BENCHMARK
    return benchmark
