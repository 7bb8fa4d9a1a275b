"""A store's file of one process, and the one thread in which all of its statements run: no code waits for them."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from services.runtime.storage.owner import Owner
from services.runtime.storage.schema import Schema
from services.runtime.storage.sqlite.file import Unavailable, guard, open_alone, written

T = TypeVar("T")


class FileThread:
    """The file of a store that has an owner. `file` is for what runs in the thread."""

    def __init__(
        self, path: Path, schema: Schema, unavailable: Unavailable, owner: Owner, *, migrates: bool = False
    ) -> None:
        """Opens the file; `migrates` makes it, or brings it up to date. Raises Unavailable when that cannot be done,
        and SchemaError for a file that will not do, or is another mesh's."""
        self._unavailable = unavailable
        with guard(unavailable):
            self.file, self._lock = open_alone(path, schema, migrates=migrates)
            try:
                self.file.execute("pragma foreign_keys = on")
                self.file.execute(f"insert or ignore into {owner.table} values (1, ?)", (owner.secret_fingerprint,))
                ((noted,),) = self.file.execute(f"select secret_fingerprint from {owner.table}")
                owner.require(noted)
            except BaseException:
                self.file.close()
                self._lock.release()
                raise
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{owner.store}-store")
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """Returns what a piece of work makes of the file. Raises Unavailable."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, RuntimeError) as error:
            # RuntimeError is the executor's word for being closed.
            raise self._unavailable(error) from None

    async def move_keys(
        self, people: str, change: str, after: bytes, most: int, new: Callable[[bytes], bytes]
    ) -> bytes:
        """Puts new person keys in the place of old ones, in one transaction. `people` selects id and person key of at
        most so many rows after an id, by id; `change` sets the key (1) of an id (2). Returns the last id, empty where
        there is no row. What is taken out is overwritten in the file. Raises Unavailable."""

        def work() -> bytes:
            rows = self.file.execute(people, (after, most)).fetchall()
            moves = [(new(old), name) for name, old in rows if new(old) != old]
            if moves:
                self.file.execute("pragma secure_delete = on")
                with written(self.file):
                    self.file.executemany(change, moves)
            elif not rows:
                # The log has old keys until it is written back.
                self.file.execute("pragma wal_checkpoint(truncate)")
            return bytes(rows[-1][0]) if rows else b""

        return await self.run(work)

    async def close(self) -> None:
        """Lets go of the file when what is under way has ended. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)
        self.file.close()
        self._lock.release()
