"""A resource read in the light of those it refers to, and of those that refer to it."""

from collections.abc import Sequence

from cli.laboratory_files.fhir.identity import NOBODY, Identity, identity_of
from cli.laboratory_files.fhir.index import Holder, Index, Specimen, effective_of, sample_id_of, specimen_of
from cli.laboratory_files.fhir.json_values import Json, object_of, objects_of, text_of
from cli.laboratory_files.fhir.references import addresses, base_of, resolve
from cli.laboratory_files.fhir.results import UNSAID, result_of
from cli.laboratory_files.fhir.sources import Entry
from cli.laboratory_files.fhir.statements import Statement
from cli.laboratory_files.fhir.tested import Kind, tested
from cli.laboratory_files.refusals import RefusedValueError
from cli.laboratory_files.words import speaks_of_tube

_NO_SPECIMEN = Specimen("", "", False)
_MOST_LEVELS = 4
POOLED = "混检"
"""The tube of a specimen that several people share, without how many."""


class Context:
    """The light that an index of the other resources sheds on one."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def is_test(self, resource: Json) -> bool:
        """Tells whether a resource is of a SARS-CoV-2 nucleic-acid test, itself or by a component."""
        if tested(resource.get("code")).kind in (Kind.TEST, Kind.PANEL):
            return True
        return any(tested(part.get("code")).kind is Kind.TEST for part in objects_of(resource.get("component")))

    def statement(self, entry: Entry, *, conclusion: bool = False) -> Statement:
        """Returns what a resource states; of a report's conclusion words that are none count for nothing."""
        resource, base = entry.resource, base_of(entry.url)
        holders = self._holders(entry)
        specimen = self._specimen(resource, base)
        result, problem = UNSAID, None
        try:
            result = result_of(resource)
        except RefusedValueError as refused:
            problem = None if conclusion and refused.reason == "RESULT_UNKNOWN" else refused
        subjects = [(resource, base), *(({"subject": holder.subject}, holder.base) for holder in holders)]
        effective = [effective_of(resource), specimen.collected, *(holder.effective for holder in holders)]
        issued = [text_of(resource.get("issued")), *(holder.issued for holder in holders)]
        method = object_of(resource.get("method"))
        words = [text_of(method.get("text")), *(text_of(c.get("display")) for c in objects_of(method.get("coding")))]
        # What does not speak of tubes, such as RT-PCR, leaves the tube to the default.
        tube = next((word for word in words if word and speaks_of_tube(word)), POOLED if specimen.shared else "")
        return Statement(
            entry.number,
            self._sample_id(resource, specimen),
            next((who for who in (self._subject(*one) for one in subjects) if who != NOBODY), NOBODY),
            next((text for text in effective if text), ""),
            next((text for text in issued if text), ""),
            text_of(resource.get("status")),
            result,
            tube,
            problem,
        )

    def sample_key(self, entry: Entry, names: Sequence[str]) -> tuple[str, ...]:
        """Returns what names the sample that an Observation is about: its person and specimen or, without a specimen,
        what points to it and the time of sampling; empty where nothing does."""
        base = base_of(entry.url)
        specimen = object_of(entry.resource.get("specimen"))
        reference = text_of(specimen.get("reference"))
        name = "" if reference.startswith("#") else resolve(reference, base)
        name = name or text_of(object_of(specimen.get("identifier")).get("value"))
        holder = next(iter(self._holders(entry)), None)
        if not name and holder is None:
            return ()
        statement = self.statement(entry)
        who = (statement.identity.type, statement.identity.number)
        if name:
            return ("specimen", base, name, *who)
        return ("holder", holder.name if holder else "", statement.effective, *who)

    def panel_id(self, entry: Entry) -> str:
        """Returns the sample id of the panel that an Observation is of, where its specimen or its report has one."""
        specimen = self._specimen(entry.resource, base_of(entry.url))
        return specimen.number or next((holder.sample_id for holder in self._holders(entry)), "")

    def _holders(self, entry: Entry) -> list[Holder]:
        """Returns the report or panel that points to a resource, and what points to that, the nearest first."""
        kind, resource_id = text_of(entry.resource.get("resourceType")), text_of(entry.resource.get("id"))
        holders: list[Holder] = []
        for name in addresses(entry.url, kind, resource_id):
            if name in self._index.holders:
                holders.append(self._index.holders[name])
                break
        while holders and len(holders) < _MOST_LEVELS and holders[-1].name in self._index.holders:
            holders.append(self._index.holders[holders[-1].name])
        return holders

    def _sample_id(self, resource: Json, specimen: Specimen) -> str:
        numbered = any(text_of(one.get("value")) for one in objects_of(resource.get("identifier")))
        return sample_id_of(resource) if numbered or not specimen.number else specimen.number

    def _specimen(self, resource: Json, base: str) -> Specimen:
        reference = text_of(object_of(resource.get("specimen")).get("reference"))
        contained = _contained(resource, reference)
        if contained:
            return specimen_of(contained)
        return self._index.specimens.get(resolve(reference, base), _NO_SPECIMEN)

    def _subject(self, resource: Json, base: str) -> Identity:
        """Returns the document of the subject: its own identifier, or that of the Patient it points to."""
        subject = object_of(resource.get("subject"))
        own = identity_of([object_of(subject.get("identifier"))])
        if own.type:
            return own
        reference = text_of(subject.get("reference"))
        contained = _contained(resource, reference)
        if contained:
            other = identity_of(objects_of(contained.get("identifier")))
        else:
            other = self._index.people.get(resolve(reference, base), NOBODY)
        return own if other == NOBODY else other


def _contained(resource: Json, reference: str) -> Json:
    """Returns the contained resource that a reference names; only its own container may refer to one."""
    if not reference.startswith("#"):
        return {}
    inside = objects_of(resource.get("contained"))
    return next((one for one in inside if f"#{text_of(one.get('id'))}" == reference), {})
