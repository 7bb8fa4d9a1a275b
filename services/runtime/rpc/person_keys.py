"""Person keys of another version become this process's own where messages come in, and those that others are told
where messages go out, while a secret is being changed; so do the fingerprints by which stores say their version.

A key says its version, and whoever has the secrets of both makes one of the other: a process that has moved to the next
version and one that has not yet understand each other, and within each there is one version alone.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from services.common.errors import InvalidArgument
from services.runtime.settings.secret_file import SecretFile

_FIELDS = frozenset(("person_key", "person_keys"))
"""The fields that hold person keys, in every contract."""

_FINGERPRINT = "secret_fingerprint"

_Change = Callable[[Any], None]
M = TypeVar("M", bound=Message)
_Key = Callable[[bytes], bytes]


class _KeyFields:
    """Changes the keys and fingerprints in messages, in place."""

    def __init__(self, key: _Key, fingerprint: _Key) -> None:
        self._key = key
        self._fingerprint = fingerprint
        self._changes: dict[str, _Change | None] = {}

    def of(self, kind: Any) -> _Change | None:
        """Returns what changes messages of a kind; None for one that holds nothing to change."""
        if kind.full_name not in self._changes:
            # No contract nests a message in itself.
            self._changes[kind.full_name] = self._made(kind)
        return self._changes[kind.full_name]

    def _made(self, kind: Any) -> _Change | None:
        single = [field.name for field in kind.fields if field.name in _FIELDS and not field.is_repeated]
        several = [field.name for field in kind.fields if field.name in _FIELDS and field.is_repeated]
        below = [
            (field.name, field.is_repeated, found)
            for field in kind.fields
            if field.message_type is not None
            and field.message_type.full_name.startswith("hutong.")
            and (found := self.of(field.message_type)) is not None
        ]
        named = _FINGERPRINT in kind.fields_by_name
        if not (single or several or below or named):
            return None
        change_key, change_fingerprint = self._key, self._fingerprint

        def change(message: Any) -> None:
            for name in single:
                key = getattr(message, name)
                if key:
                    setattr(message, name, change_key(key))
            for name in several:
                keys = getattr(message, name)
                keys[:] = [change_key(key) for key in keys]
            if named and message.secret_fingerprint:
                message.secret_fingerprint = change_fingerprint(message.secret_fingerprint)
            for name, repeated, within in below:
                if repeated:
                    for one in getattr(message, name):
                        within(one)
                elif message.HasField(name):
                    within(getattr(message, name))

        return change


def with_keys(message: M, key: Callable[[bytes], bytes]) -> M:
    """Returns a copy of a message with other person keys."""
    copy = type(message)()
    copy.CopyFrom(message)
    change = _KeyFields(key, lambda fingerprint: fingerprint).of(message.DESCRIPTOR)
    if change is not None:
        change(copy)
    return copy


class MessageKeys:
    """Looks over what comes in to a process and what goes out. While its secret has one version, as nearly always, it
    looks at nothing."""

    def __init__(self, secret: SecretFile) -> None:
        self._secret = secret
        self._keys = secret.keys
        self._received = _KeyFields(self._received_key, self._own_fingerprint)
        self._sent = _KeyFields(self._keys.told, self._told_fingerprint)

    def received(self, message: Message) -> Message:
        """Returns a message that has come in with this process's own keys, changed in place: nobody else has it yet.
        Raises InvalidArgument (PERSON_KEY_VERSION)."""
        self._secret.current()
        if not self._keys.one_version:
            change = self._received.of(message.DESCRIPTOR)
            if change is not None:
                change(message)
        return message

    def sent(self, message: Message) -> Message:
        """Returns a message that goes out with the keys that others are told: itself, or a copy where that is not the
        same."""
        self._secret.current()
        if self._keys.version == self._keys.current:
            return message
        change = self._sent.of(message.DESCRIPTOR)
        if change is None:
            return message
        copy = type(message)()
        copy.CopyFrom(message)
        change(copy)
        return copy

    def _received_key(self, key: bytes) -> bytes:
        try:
            return self._keys.received(key)
        except InvalidArgument:
            # Whoever sent it has read the file already.
            self._secret.current(at_once=True)
            return self._keys.received(key)

    def _own_fingerprint(self, fingerprint: bytes) -> bytes:
        for at_once in (False, True):
            if fingerprint in self._secret.current(at_once=at_once).fingerprints:
                return self._secret.own_fingerprint
        return fingerprint

    def _told_fingerprint(self, fingerprint: bytes) -> bytes:
        return self._secret.current().fingerprint() if fingerprint == self._secret.own_fingerprint else fingerprint


def message_keys(secret: SecretFile | None) -> MessageKeys | None:
    """Returns what looks over the messages of a process; None for one without a secret: it makes no keys."""
    return None if secret is None else MessageKeys(secret)
