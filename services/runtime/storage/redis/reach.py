"""The circuits that stand before one use of a Redis: one of its own, and one that all uses in the process share."""

import time

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.runtime.resilience.circuit import Circuit


class RedisCircuit(Circuit):
    """The circuit that all uses of a Redis share. It knows when anybody was answered last."""

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


class Reach:
    """The circuits before one use of a Redis. `shared` is that of all uses of this Redis in the process: who is not let
    in by it, or waits in vain while nobody else is answered either, as of one that is frozen, finds that out for all.
    What answers others meanwhile, or answers with an error, may do so for one use alone, whose commands are larger or
    not permitted: that stays its own."""

    def __init__(self, shared: RedisCircuit | None = None) -> None:
        self._shared = shared or RedisCircuit()
        self._own = Circuit()

    @property
    def open(self) -> bool:
        """Tells if it is better not to ask."""
        return self._shared.open or self._own.open

    def failed(self, error: Exception, begun: float) -> None:
        """Takes note of what a command failed of that was begun then, by time.monotonic()."""
        # TimeoutError is an OSError.
        late = isinstance(error, RedisTimeoutError | TimeoutError)
        gone = not late and isinstance(error, RedisConnectionError | OSError)
        silent = late and not self._shared.answered_since(begun)
        (self._shared if gone or silent else self._own).failed()

    def succeeded(self) -> None:
        """Takes note of an answer: it was reached, by all."""
        self._shared.succeeded()
        self._own.succeeded()
