"""Fills a mesh that has just started, and shows the same people at the gateway."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import msgspec
from hutong.common.v1.subject_pb2 import DocumentType

from cli.importing.batches import Destination
from cli.importing.opening import open_laboratory_file
from cli.importing.sending import send
from cli.laboratory_files.refusals import Refusal
from cli.mesh.client import MeshClient
from cli.samples.files import FILES
from cli.samples.loading import load_people, start_of_hour
from cli.samples.model import SamplePerson
from cli.samples.people import PEOPLE
from services.runtime.clock import Clock

log = logging.getLogger("hutong.samples")

_FOLLOW_SECONDS = 10.0
_POLL_SECONDS = 0.05


def published() -> list[dict[str, object]]:
    """The sample people for GET /v1/samplePeople: name, document, what they are there to show, where to look."""
    return [
        {
            "name": {"zh": person.name.zh, "en": person.name.en},
            "document": _document(person),
            "shows": {"zh": person.shows.zh, "en": person.shows.en},
            "region": person.look,
            "dependants": [
                {"name": {"zh": one.name.zh, "en": one.name.en}, "document": _document(one)}
                for one in PEOPLE
                if one.key in person.dependants
            ],
        }
        for person in PEOPLE
    ]


def _document(person: SamplePerson) -> dict[str, str]:
    return {"type": DocumentType.Name(person.type).removeprefix("DOCUMENT_TYPE_"), "number": person.number}


def write_people(path: Path) -> None:
    """Writes the sample people to a JSON file for a gateway in a process of its own."""
    path.write_bytes(msgspec.json.encode(published()))


def _note(refusals: Sequence[Refusal]) -> None:
    # Somebody may have corrected or withdrawn sample rows since: their work stands.
    for refusal in refusals:
        log.info("sample row left out", extra={"row": refusal.row, "reasons": [v.reason for v in refusal.violations]})


async def load_samples(mesh: MeshClient, clock: Clock) -> None:
    """Loads the sample people and the sample laboratory files, and waits until the nation has followed.

    Raises ServiceError when the mesh does not take them.
    """
    await load_people(mesh.records, mesh.holders(), start_of_hour(clock()))
    for file in FILES:
        destination = Destination(file.region, file.laboratory, file.region)
        with open_laboratory_file(file.path) as opened:
            await send(opened.rows, mesh.records(file.region), destination, report=_note)
    loaded = clock()
    give_up = monotonic() + _FOLLOW_SECONDS
    while monotonic() < give_up:
        as_of = await mesh.nation_as_of()
        if as_of is not None and as_of > loaded:
            return
        await asyncio.sleep(_POLL_SECONDS)
