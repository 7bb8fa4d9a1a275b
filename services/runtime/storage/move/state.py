"""The state of a move, as either store notes it, and what a service may do with a store that is being moved.

The note is one row of the table `store_move`. It is there in both stores while a move is under way, in the new one
until it may be served, and in the old one for ever: a process that was left running on it must not be believed.
"""

from enum import StrEnum
from typing import NamedTuple

from services.common.errors import Unavailable
from services.runtime.storage.schema import SchemaError

NOTE_TABLE = "store_move"
PROGRESS_TABLE = "store_move_progress"
RETIRED = "moved_"
"""What the names of the tables of a store that was moved begin with: nobody reads them by mistake."""
WRITES_CLOSED = "HUTONG_STORE_MOVING"
"""What the database says to whoever writes while the last changes are carried over."""

NOTE_DEFINITION = f"""
create table {NOTE_TABLE} (
    only_row integer primary key check (only_row = 1),
    move_id text not null,
    state text not null,
    other text not null
)
"""
PROGRESS_DEFINITION = f"""
create table {PROGRESS_TABLE} (
    table_name text primary key,
    after_key text not null,
    copied integer not null
)
"""


class State(StrEnum):
    """The state of one store in a move."""

    LEAVING = "leaving"
    """The old store: served as always; what changes is noted."""
    CLOSED = "closed"
    """The old store: read, and not written."""
    MOVED = "moved"
    """The old store: out of use."""
    ARRIVING = "arriving"
    """The new store: incomplete, not served."""


class Note(NamedTuple):
    """The move that a store takes part in. `other` names the other store, without a password."""

    move_id: str
    state: State
    other: str


def require_served(note: Note | None) -> None:
    """Raises SchemaError for a store that no service may be started on: one that was moved, or is not complete."""
    if note is None:
        return
    if note.state is State.MOVED:
        raise SchemaError(
            f"这个库已迁至 {note.other}，不再使用 / this store was moved to {note.other} and is not used any more"
        )
    if note.state is State.ARRIVING:
        raise SchemaError(
            f"自 {note.other} 的迁移尚未完成，请再次运行同一命令 / "
            f"the move from {note.other} into this store is not complete: run the same command again"
        )


def require_unmoved(note: Note | None) -> None:
    """Raises SchemaError for a store whose tables must not be altered now, as it is being moved."""
    require_served(note)
    if note is not None:
        raise SchemaError(
            f"正迁往 {note.other}：请先完成或放弃（--abandon） / "
            f"this store is being moved to {note.other}: complete or abandon that (--abandon) before its tables change"
        )


def writes_closed() -> Unavailable:
    """Returns the error for a write into a store whose last changes are being carried over."""
    return Unavailable(
        "STORE_MOVING", "记录库正在迁移，请稍后重试", "The store is being moved to another database: try again shortly"
    )
