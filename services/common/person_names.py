"""The name of a person, as whoever identified them states it: used for one answer, and neither kept nor logged."""

from datetime import date
from typing import NamedTuple


class PersonName(NamedTuple):
    """A person's name: `written` as the person writes it, `surname` and `given_name` in Latin letters; each is empty,
    and `born` None, where it is not stated. `lacking` names the claim without which there is no certificate: missing,
    or not as a name is; empty where nothing lacks."""

    written: str = ""
    surname: str = ""
    given_name: str = ""
    born: date | None = None
    lacking: str = ""

    def __repr__(self) -> str:
        # A name that came into a log or an error by accident would stay there.
        return "PersonName(...)"
