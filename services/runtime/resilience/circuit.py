"""Remembers that something is down, so that not every caller waits to find out."""

import time


class Circuit:
    """Open after a failure, for twice as long after each further one. Seconds of time.monotonic()."""

    def __init__(self, first: float = 0.1, longest: float = 2.0) -> None:
        self._first = first
        self._longest = longest
        self._pause = 0.0
        self._until = 0.0

    @property
    def open(self) -> bool:
        """Tells if it is better not to ask."""
        return self._until > 0.0 and time.monotonic() < self._until

    def failed(self) -> None:
        """Takes note of a failure. Failures while already open, of calls that had begun before, count once."""
        if not self.open:
            self._pause = min(self._longest, self._pause * 2 or self._first)
            self._until = time.monotonic() + self._pause

    def succeeded(self) -> None:
        """Takes note of an answer."""
        self._pause = self._until = 0.0


class SharedCircuit(Circuit):
    """The circuit that several uses of one server share. It knows when any of them was answered last."""

    def __init__(self, first: float = 0.1, longest: float = 2.0) -> None:
        super().__init__(first, longest)
        self._answered = 0.0

    def succeeded(self) -> None:
        """Takes note of an answer."""
        super().succeeded()
        self._answered = time.monotonic()

    def answered_since(self, begun: float) -> bool:
        """Tells if anybody was answered since then, of time.monotonic()."""
        return self._answered >= begun
