"""The stores that a mesh has made: one that is gone, with its disk or by a mistyped path, is not silently made anew."""

from collections.abc import Iterable
from pathlib import Path

from cli.mesh.data import DataDirectoryError
from cli.mesh.plan import LOOKUP, PUSH, RECORD_STORES, SUPERVISION, Plan

STORES = (*RECORD_STORES, LOOKUP, SUPERVISION, PUSH)
_LIST = "stores"


def require_stores(plan: Plan, names: Iterable[str] = STORES) -> None:
    """Raises DataDirectoryError for a store that this mesh has made and that is not there."""
    noted = _made(plan.data)
    for name in names:
        file = plan.store_file(name)
        if name in noted and not file.exists():
            kind = name if name in (LOOKUP, SUPERVISION, PUSH) else "records"
            make = f"`hutong migrate {kind} --store-url {plan.store_url(name)}`"
            raise DataDirectoryError(
                f"库 {file} 不见了：从备份恢复；若确实要新建空库，用 {make}",
                f"The store {file} is gone: restore it from a backup; to begin with an empty one, run {make}",
            )


def note_stores(plan: Plan) -> None:
    """Notes that the stores of this mesh were made."""
    # Without hutong[push] nothing is told to devices, and there is no store of that.
    made = [name for name in STORES if name != PUSH or plan.store_file(name).exists()]
    (plan.data / _LIST).write_text("".join(f"{name}\n" for name in sorted({*_made(plan.data), *made})))


def _made(data: Path) -> frozenset[str]:
    try:
        return frozenset((data / _LIST).read_text(encoding="ascii").split())
    except FileNotFoundError:
        return frozenset()
