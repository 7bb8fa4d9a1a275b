"""The protocols of the store that a move comes from and of the one that it goes to."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from services.runtime.storage.move.state import Note
from services.runtime.storage.move.tables import Key, Row, Table


class Changes(NamedTuple):
    """Rows that changed since they were last carried over: the numbers of the notes about them, and their keys."""

    numbers: Sequence[int]
    keys: Sequence[Key]


class Position(NamedTuple):
    """The point to which a table was copied: after which key, None before the first, and whether to its end."""

    after: Key | None = None
    copied: bool = False


class Place(Protocol):
    """A store that takes part in a move. All methods raise SchemaError, and the driver's own errors."""

    @property
    def name(self) -> str:
        """Returns what it is called in notes: without a password."""

    async def close(self) -> None:
        """Ends the connection, and lets a file go."""

    async def check(self) -> None:
        """Raises SchemaError unless the tables are those of this program."""

    async def note(self) -> Note | None:
        """Returns what is noted of a move."""

    async def page(self, table: Table, after: Key | None, most: int) -> Sequence[Row]:
        """Returns rows in the order of their key."""

    async def rows(self, table: Table, keys: Sequence[Key]) -> Sequence[Row]:
        """Returns the rows that there are of these keys, in any order."""

    async def count(self, table: Table) -> int:
        """Returns how many rows there are."""


class Source(Place, Protocol):
    """The store that a move comes from."""

    async def leave(self, tables: Sequence[Table], note: Note) -> None:
        """Notes the move, and from now on the key of each row that changes, in the transaction that changes it."""

    async def waiting(self, table: Table) -> int:
        """Returns how many changes are noted and not carried over."""

    async def changes(self, table: Table, most: int) -> Changes:
        """Returns what changed, the earliest first, and each row once."""

    async def carried(self, table: Table, numbers: Sequence[int]) -> None:
        """Forgets notes about changes that were carried over."""

    async def close_writes(self, tables: Sequence[Table], note: Note) -> None:
        """Lets writes under way end; from now on nobody, of whatever program, writes."""

    async def retire(self, tables: Sequence[Table], note: Note) -> None:
        """Puts it out of use, for whoever has it open as well; its rows stay, under other names."""

    async def stay(self, tables: Sequence[Table]) -> None:
        """Gives the move up: everything is as it was before `leave`."""


class Target(Place, Protocol):
    """The store that a move goes to."""

    async def make(self) -> None:
        """Makes the tables, unless they are there."""

    async def arrive(self, tables: Sequence[Table], note: Note) -> None:
        """Notes the move, and empties the tables of the rows that they are made with."""

    async def position(self, table: Table) -> Position:
        """Returns the point to which a table was copied."""

    async def add(self, table: Table, rows: Sequence[Row], position: Position) -> None:
        """Adds rows, and notes how far that comes, in one transaction."""

    async def replace(self, table: Table, keys: Sequence[Key], rows: Sequence[Row]) -> None:
        """Puts rows in the place of all that there are of these keys."""

    async def open(self, tables: Sequence[Table]) -> None:
        """Lets services be started on it: the move is complete."""
