"""One deadline, shared by the two rounds of a fan-out."""

from dataclasses import dataclass

ASSEMBLY_SECONDS = 0.05
"""Kept back for putting the answer together and sending it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The time for all sources of a question together.

    `deadline` is an instant of the monotonic clock in seconds, as are those given and returned; `most` is what one
    source may take at the most, in seconds.
    """

    deadline: float
    most: float

    @property
    def end(self) -> float:
        """The instant when the last has to be begun: putting the answer together."""
        return self.deadline - ASSEMBLY_SECONDS / 2

    @property
    def second_end(self) -> float:
        """The instant when the regions, and with them all sources, have to have answered."""
        return self.deadline - ASSEMBLY_SECONDS

    def seconds(self, now: float) -> float:
        """Returns the seconds that are left."""
        return max(0.0, self.deadline - now)

    def first(self, now: float) -> float:
        """Returns the seconds for the nation and the home store: never so many that the second round has less."""
        return min(self.most, (self.deadline - now - ASSEMBLY_SECONDS) / 2)

    def first_end(self, now: float) -> float:
        """Returns the instant when the nation and the home stores have to have answered all parts of a question."""
        return now + (self.deadline - now - ASSEMBLY_SECONDS) / 2

    def second(self, now: float) -> float:
        """Returns the seconds for the regions, once the nation did not answer."""
        return min(self.most, self.deadline - now - ASSEMBLY_SECONDS)
