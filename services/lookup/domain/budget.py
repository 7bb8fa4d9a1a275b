"""One deadline, shared by the two rounds of a fan-out."""

from dataclasses import dataclass

ASSEMBLY_SECONDS = 0.05
"""Kept back for putting the answer together and sending it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The time for all sources of a question together.

    `deadline` is an instant of the monotonic clock in seconds, `most` what one source may take at the most, in seconds.
    """

    deadline: float
    most: float

    @property
    def end(self) -> float:
        """When the last has to be begun, an instant of the monotonic clock: putting the answer together."""
        return self.deadline - ASSEMBLY_SECONDS / 2

    def first(self, now: float) -> float:
        """Seconds for the nation and the home store: never so many that the second round has less."""
        return min(self.most, (self.deadline - now - ASSEMBLY_SECONDS) / 2)

    def second(self, now: float) -> float:
        """Seconds for the regions, once the nation did not answer."""
        return min(self.most, self.deadline - now - ASSEMBLY_SECONDS)
