"""Circles of imports: modules that cannot be read, tested or moved one without the other."""

from collections.abc import Iterable, Mapping

import grimp

PACKAGES = ("services", "gateway", "cli", "bench")


def imports() -> Mapping[str, set[str]]:
    """Returns, for each handwritten module, the handwritten modules that it imports."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def circles(imported: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Returns every group of modules that import one another in a circle, each sorted; an empty list where there is
    none. A module is in at most one group."""
    reachable = {module: _reached(module, imported) for module in imported}
    groups = {
        frozenset(other for other in reachable[module] if module in reachable.get(other, ()))
        for module in imported
        if module in reachable[module]
    }
    return sorted(sorted(group) for group in groups)


def _reached(module: str, imported: Mapping[str, Iterable[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = list(imported[module])
    while ahead:
        one = ahead.pop()
        if one not in seen:
            seen.add(one)
            ahead += imported.get(one, ())
    return seen
