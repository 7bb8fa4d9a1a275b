"""Commands and notes as columns, and back; the same for every database."""

from typing import Any

from hutong.lookup.v1.region_pb2 import Scope

from services.common.instants import Instant
from services.lookup.domain.holders import Command, Link, Switch, Unlink
from services.lookup.domain.outages import OutageNote, SourceState

Columns = tuple[str, bytes, bytes | None, str | None, int | None, str]
"""action, person_key, other_key, region, scope, cause."""


def columns(command: Command) -> Columns:
    """Returns the columns that the log keeps of a command, but for its request id."""
    if isinstance(command, Switch):
        return "switch", command.person, None, command.region, command.scope, ""
    return "link" if isinstance(command, Link) else "unlink", command.person, command.other, None, None, command.cause


def command(row: Any, request_id: str = "") -> Command:
    """The command of a row of Columns."""
    action, person, other, region, scope, cause = row
    if action == "switch":
        return Switch(person, region, Scope.ValueType(scope), request_id)
    if action == "link":
        return Link(person, other, cause, request_id)
    return Unlink(person, other, cause, request_id)


def note(row: Any) -> OutageNote:
    """The note of a row (noted_at, source, replica, state)."""
    noted_at, source, replica, state = row
    return OutageNote(Instant(noted_at), source, replica, SourceState(state))
