"""The furthest that this process has seen a store's feed come: no reader of a replica may fall behind it."""


class SeenFeed:
    """The greatest number of the feed that this process was told of, and how many commits it has made itself."""

    def __init__(self) -> None:
        self.sequence = 0
        self.commits = 0

    def reached(self, sequence: int) -> None:
        """Notes that the feed has come to a number."""
        self.sequence = max(self.sequence, sequence)

    def committed(self) -> None:
        """Notes a commit of this process."""
        self.commits += 1
