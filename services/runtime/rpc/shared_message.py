"""A response that is sent to many: encoded once, when the first of them is sent it."""

from google.protobuf.message import Message


class SharedMessage:
    """Holds a message that nobody changes, and its bytes once they were asked for."""

    __slots__ = ("_encoded", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        self._encoded: bytes | None = None

    def encoded(self) -> bytes:
        """Returns the message's bytes."""
        if self._encoded is None:
            self._encoded = self.message.SerializeToString()
        return self._encoded


Answer = Message | SharedMessage
"""What a stream's servicer yields."""
