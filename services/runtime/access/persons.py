"""The people whom a request names, whichever contract it belongs to."""

from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Document, Subject

from services.common.documents import PersonKeys
from services.common.errors import InvalidArgument

Find = Callable[[Any], Iterator[bytes]]


class NamedPersons:
    """Finds every document and subject in a request, however deep, by what its kind can hold."""

    def __init__(self, keys: PersonKeys) -> None:
        self._keys = keys
        self._finders: dict[type[Message], Find] = {}

    def of(self, request: Message) -> Iterator[bytes]:
        """Yields the key of each person that a request names. A document that is none names nobody: the call is refused
        for it, and the number, wrong or not, is written nowhere."""
        find = self._finders.get(type(request))
        if find is None:
            find = self._finders[type(request)] = _finder(request.DESCRIPTOR, self._key)
        return find(request)

    def _key(self, named: Message) -> bytes | None:
        try:
            if isinstance(named, Document):
                return self._keys.of(named)
            return self._keys.of_subject(named) if isinstance(named, Subject) else None
        except InvalidArgument:
            return None


def _finder(kind: Any, key: Callable[[Message], bytes | None]) -> Find:
    if kind in (Document.DESCRIPTOR, Subject.DESCRIPTOR):
        return lambda message: iter((person,) if (person := key(message)) else ())
    below = [
        (field.name, field.is_repeated, _finder(field.message_type, key))
        for field in kind.fields
        if field.message_type is not None
        and field.message_type.full_name.startswith("hutong.")
        # No contract nests a message in itself.
        and field.message_type is not kind
    ]

    def persons(message: Any) -> Iterator[bytes]:
        for name, repeated, find in below:
            if repeated:
                for one in getattr(message, name):
                    yield from find(one)
            elif message.HasField(name):
                yield from find(getattr(message, name))

    return persons
