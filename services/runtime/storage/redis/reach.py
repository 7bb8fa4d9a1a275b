"""The circuits that stand before one use of a Redis: one of its own, and one that all uses in the process share."""

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.runtime.resilience.circuit import Circuit, SharedCircuit


class Reach:
    """The circuits before one use of a Redis. `shared` is that of all uses of this Redis in the process: who is not let
    in by it, or waits in vain while nobody else is answered either, as of one that is frozen, finds that out for all.
    What answers others meanwhile, or answers with an error, may do so for one use alone, whose commands are larger or
    not permitted: that stays its own."""

    def __init__(self, shared: SharedCircuit | None = None) -> None:
        self._shared = shared or SharedCircuit()
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
