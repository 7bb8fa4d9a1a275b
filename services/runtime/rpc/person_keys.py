"""Person keys of another version become this process's own where messages come in, while a secret is being changed,
and so do the fingerprints by which stores say their version.

A key says its version, and whoever has the secrets of both makes one of the other: a process that has moved to the next
version and one that has not yet understand each other, and within each there is one version alone.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from services.common.documents import PersonKeys
from services.common.mesh_secret import MeshSecret, parse_mesh_secret

_FIELDS = frozenset(("person_key", "person_keys"))
"""The fields that hold person keys, in every contract."""

_FINGERPRINT = "secret_fingerprint"

Receive = Callable[[Message], Message]
"""Looks over a message that has come in, and returns it."""

_Change = Callable[[Any], None]


class ReceivedKeys:
    """Makes keys in messages that have come in this process's own, in place: nobody else has the message yet."""

    def __init__(self, keys: PersonKeys, secret: MeshSecret) -> None:
        self._own = keys.own
        self._fingerprint = secret.fingerprint()
        self._known = secret.fingerprints
        self._changes: dict[str, _Change | None] = {}

    def __call__(self, message: Message) -> Message:
        """Returns the message with own keys. Raises InvalidArgument (PERSON_KEY_VERSION)."""
        change = self._change_of(type(message).DESCRIPTOR)
        if change is not None:
            change(message)
        return message

    def _change_of(self, kind: Any) -> _Change | None:
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
            and (found := self._change_of(field.message_type)) is not None
        ]
        named = _FINGERPRINT in kind.fields_by_name
        if not (single or several or below or named):
            return None
        own, fingerprint, known = self._own, self._fingerprint, self._known

        def change(message: Any) -> None:
            for name in single:
                key = getattr(message, name)
                if key:
                    setattr(message, name, own(key))
            for name in several:
                keys = getattr(message, name)
                keys[:] = [own(key) for key in keys]
            if named and message.secret_fingerprint in known:
                message.secret_fingerprint = fingerprint
            for name, repeated, within in below:
                if repeated:
                    for one in getattr(message, name):
                        within(one)
                elif message.HasField(name):
                    within(getattr(message, name))

        return change


def received_keys(secret: str) -> Receive | None:
    """Returns what looks over messages that come in to a process with this secret; None while there is one version, as
    nearly always: then nothing is looked at. Raises MeshSecretError."""
    if not secret:
        # Who has no secret, such as a witness, makes no keys.
        return None
    parsed = parse_mesh_secret(secret)
    return ReceivedKeys(PersonKeys(secret.encode()), parsed) if len(parsed.versions) > 1 else None
