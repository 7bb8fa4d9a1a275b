"""The resources that must be known before a file's first row: people, specimens, what points to Observations."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from cli.laboratory_files.damage import Survey
from cli.laboratory_files.fhir.identity import AMBIGUOUS, Identity, identity_of
from cli.laboratory_files.fhir.json_values import Json, object_of, objects_of, text_of
from cli.laboratory_files.fhir.references import addresses, base_of, resolve
from cli.laboratory_files.fhir.sources import Entry, Source
from cli.laboratory_files.refusals import UnreadableFileError

MOST_KEPT = 200_000
"""Resources of one import that are kept in memory, about 80 MB; more are refused before a row is stored."""


class Specimen(NamedTuple):
    """When a specimen was taken (a text, empty where that is not said), its number at the laboratory, and whether
    several people share it."""

    collected: str
    number: str
    shared: bool


class Holder(NamedTuple):
    """A report, or a panel, that points to Observations: what they take from it where they say nothing themselves."""

    name: str
    sample_id: str
    issued: str
    effective: str
    subject: Json
    base: str


@dataclass(slots=True)
class Index:
    """Resources by the names that references resolve to, and what the numbers of people show as a whole. `related`
    tells whether Observations may be about one sample: where they name a specimen, or something points to them."""

    people: dict[str, Identity] = field(default_factory=dict)
    specimens: dict[str, Specimen] = field(default_factory=dict)
    holders: dict[str, Holder] = field(default_factory=dict)
    survey: Survey = field(default_factory=Survey)
    related: bool = False
    kept: int = 0

    def read(self, sources: Iterable[Source]) -> None:
        """Reads every resource once. Raises UnreadableFileError (FHIR_RESOURCES) when there are too many to keep."""
        for source in sources:
            for entry in source.entries():
                if isinstance(entry, Entry):
                    self._see(entry)

    def _see(self, entry: Entry) -> None:
        resource = entry.resource
        kind = text_of(resource.get("resourceType"))
        for identifier in _identifiers(resource):
            self.survey.see(text_of(identifier.get("value")))
        names = addresses(entry.url, kind, text_of(resource.get("id")))
        if kind == "Patient":
            self._keep()
            identity = identity_of(objects_of(resource.get("identifier")))
            for name in names:
                known = self.people.get(name, identity)
                self.people[name] = identity if known == identity else AMBIGUOUS
        elif kind == "Specimen":
            self._keep()
            self.specimens |= dict.fromkeys(names, specimen_of(resource))
        elif kind in ("DiagnosticReport", "Observation"):
            self._hold(entry, names, kind)
            if object_of(resource.get("specimen")):
                self.related = True

    def _hold(self, entry: Entry, names: list[str], kind: str) -> None:
        resource, base = entry.resource, base_of(entry.url)
        pointed = objects_of(resource.get("result" if kind == "DiagnosticReport" else "hasMember"))
        if not pointed:
            return
        self.related = True
        holder = Holder(
            next(iter(names), ""),
            sample_id_of(resource),
            text_of(resource.get("issued")),
            effective_of(resource),
            object_of(resource.get("subject")),
            base,
        )
        for reference in pointed:
            self._keep()
            name = resolve(text_of(reference.get("reference")), base)
            if name:
                # A panel of a report's takes from the report what it does not say.
                self.holders.setdefault(name, holder)

    def _keep(self) -> None:
        self.kept += 1
        if self.kept > MOST_KEPT:
            raise too_many()


def too_many() -> UnreadableFileError:
    """Returns the error of files of whose resources more would have to be kept at once than can be."""
    return UnreadableFileError(
        "FHIR_RESOURCES",
        f"须同时记住的资源（Patient、Specimen、报告所指的 Observation）超过 {MOST_KEPT} 个，请拆成几个文件",
        f"More than {MOST_KEPT} resources (Patients, Specimens, Observations that reports point to) would "
        "have to be kept at once: split the file",
    )


def sample_id_of(resource: Json) -> str:
    """Returns the laboratory's own number of a resource, or else its id."""
    values = (text_of(identifier.get("value")) for identifier in objects_of(resource.get("identifier")))
    return next((value for value in values if value), "") or text_of(resource.get("id"))


def effective_of(resource: Json) -> str:
    """Returns when the sample was taken, as the resource itself says it."""
    period = object_of(resource.get("effectivePeriod"))
    texts = (resource.get("effectiveDateTime"), resource.get("effectiveInstant"), period.get("start"))
    return next((text for text in map(text_of, texts) if text), "")


def specimen_of(resource: Json) -> Specimen:
    """Returns what matters here of a Specimen."""
    collection = object_of(resource.get("collection"))
    period = object_of(collection.get("collectedPeriod"))
    subject = text_of(object_of(resource.get("subject")).get("reference"))
    accession = text_of(object_of(resource.get("accessionIdentifier")).get("value"))
    values = (text_of(identifier.get("value")) for identifier in objects_of(resource.get("identifier")))
    return Specimen(
        text_of(collection.get("collectedDateTime")) or text_of(period.get("start")),
        accession or next((value for value in values if value), ""),
        "Group/" in subject or object_of(resource.get("subject")).get("type") == "Group",
    )


def _identifiers(resource: Json) -> Iterator[Json]:
    """Yields whatever may be the number of a person's document."""
    if resource.get("resourceType") == "Patient":
        yield from objects_of(resource.get("identifier"))
    subject = object_of(resource.get("subject"))
    yield object_of(subject.get("identifier"))
    for contained in objects_of(resource.get("contained")):
        yield from objects_of(contained.get("identifier"))
