"""People in every status, and the codes they have while everything is right."""

from collections.abc import Mapping
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube

from services.common.id_numbers import check_character
from services.common.instants import HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock

NEGATIVE, POSITIVE = TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE
RECOGNISED, NOT_RECOGNISED, SICK = "RECOGNISED", "NOT_RECOGNISED", "POSITIVE"


class Taken(NamedTuple):
    """A test in one region, `hours` ago."""

    region: str
    hours: int = 5
    result: TestResult.ValueType | None = NEGATIVE
    tube: Tube.ValueType = Tube.TUBE_SINGLE
    laboratory: str = "430000-xiangya"

    def content(self) -> RecordContent:
        """Its content now; reported two hours after it was sampled, a sampling record where there is no result."""
        sampled = Instant(system_clock() - self.hours * HOUR)
        reported = self.result is not None
        return RecordContent(
            kind=RecordKind.RECORD_KIND_RESULT if reported else RecordKind.RECORD_KIND_SAMPLING,
            sampled_at=to_timestamp(sampled),
            reported_at=to_timestamp(Instant(sampled + 2 * HOUR)) if reported else None,
            result=self.result if self.result is not None else TestResult.TEST_RESULT_UNSPECIFIED,
            tube=self.tube,
            laboratory=self.laboratory,
            site="430100",
            channel=Channel.CHANNEL_LABORATORY,
        )


class Person(NamedTuple):
    """Somebody with tests, and the status that follows in 110000, 210000 and 430000."""

    tests: tuple[Taken, ...]
    statuses: tuple[str, str, str]
    birth: str = "19050101"


PEOPLE: Mapping[str, Person] = {
    "nobody": Person((), (NOT_RECOGNISED,) * 3),
    "well in 430000": Person((Taken("430000"),), (RECOGNISED,) * 3),
    "well in 110000": Person((Taken("110000"),), (RECOGNISED,) * 3),
    "sick in 430000": Person((Taken("430000", result=POSITIVE), Taken("110000", 3)), (SICK,) * 3),
    "sick where the nation keeps": Person((Taken("360000", result=POSITIVE), Taken("110000", 3)), (SICK,) * 3),
    "cleared": Person((Taken("430000", 140, POSITIVE), Taken("430000", 60), Taken("430000", 20)), (RECOGNISED,) * 3),
    "in a positive pool": Person((Taken("430000", result=POSITIVE, tube=Tube.TUBE_POOL_10),), ("RETEST_REQUIRED",) * 3),
    "sampled": Person((Taken("430000", result=None),), ("PENDING",) * 3),
    "too long ago": Person((Taken("430000", 300),), (NOT_RECOGNISED,) * 3),
    "of a suspended laboratory": Person((Taken("430000", laboratory="430000-suspended"),), (NOT_RECOGNISED,) * 3),
    "switched to local": Person((Taken("430000"),), (RECOGNISED, NOT_RECOGNISED, RECOGNISED)),
    "sick by another document": Person((Taken("110000", 3),), (SICK,) * 3),
    "a small child": Person((), (NOT_RECOGNISED, "NOT_REQUIRED", NOT_RECOGNISED), "child"),
}


def document(number: int, birth: str = "19050101") -> Document:
    """A resident id that nobody has."""
    if birth == "child":
        birth = f"{int(str(to_timestamp(system_clock()).ToDatetime().year)) - 1}0601"
    first17 = f"430102{birth}{number:03d}"
    kind = DocumentType.DOCUMENT_TYPE_RESIDENT_ID
    return Document(type=kind, number=first17 + check_character(first17))


PASSPORT = Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="E12345678"))
"""The other document of who is sick by it."""
