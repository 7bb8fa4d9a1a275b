"""The memory of a store about requests and intake sessions, so that both can be repeated."""

from typing import Protocol

from services.common.instants import Instant


class IntakeSessions(Protocol):
    """The progress of intake sessions."""

    async def batches(self, session: str) -> int:
        """Returns the greatest batch of a session that was committed; 0 for a session that is not known."""


class AnswerLog(Protocol):
    """The answers kept for retries."""

    async def forget_answers(self, before: Instant) -> int:
        """Forgets the answers to requests answered, and the sessions that last moved, before an instant; returns how
        many."""
