"""The sample people of the embedded mesh. They are invented; so are their documents."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.render import Json
from services.common.errors import Text


@dataclass(frozen=True, slots=True)
class SamplePerson:
    """One sample person: what they are called, what they show and where, and what that is there to show.

    `document_type` is a name such as RESIDENT_ID; `region` the one to look at first.
    """

    name: Text
    document_type: str
    number: str
    region: str
    shows: Text

    def json(self) -> Json:
        """As HTTP shows it."""
        return {
            "name": {"zh": self.name.zh, "en": self.name.en},
            "document": {"type": self.document_type, "number": self.number},
            "region": self.region,
            "shows": {"zh": self.shows.zh, "en": self.shows.en},
        }


def read_people(path: Path) -> list[SamplePerson]:
    """The people in a JSON file whose entries are as `json` makes them. Raises OSError, or ValueError for others."""
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=list[_Entry])
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: {error}") from None
    return [
        SamplePerson(
            name=Text(**entry.name),
            document_type=entry.document["type"],
            number=entry.document["number"],
            region=entry.region,
            shows=Text(**entry.shows),
        )
        for entry in entries
    ]


class _Entry(msgspec.Struct):
    name: dict[str, str]
    document: dict[str, str]
    region: str
    shows: dict[str, str]
