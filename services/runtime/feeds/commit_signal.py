"""The word that something was committed in this process, for those who wait for it."""

import asyncio


class CommitSignal:
    """Tells the watchers of this process of its own commits at once; other processes' commits are polled for."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def committed(self) -> None:
        """Wakes whoever waits."""
        self._next.set()
        self._next = asyncio.Event()

    def next_commit(self) -> asyncio.Event:
        """Returns the event that the next commit sets. A reader takes it before it reads and waits for it afterwards:
        nothing is committed in between unnoticed."""
        return self._next
