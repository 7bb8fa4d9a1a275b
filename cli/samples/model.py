"""The parts of a sample person. Times are hours before the mesh's start, or fixed instants of August 2022."""

from dataclasses import dataclass, field

from hutong.common.v1.subject_pb2 import Document, DocumentType
from hutong.records.v1.record_pb2 import Channel, TestResult, Tube

from services.common.errors import Text
from services.common.id_numbers import check_character
from services.common.instants import HOUR, Instant, format_rfc3339, parse_rfc3339

When = float | str
"""Hours before the start, or an RFC 3339 instant."""


def instant(when: When, start: Instant) -> Instant:
    """The instant meant, for a mesh that started at `start`."""
    return parse_rfc3339(when) if isinstance(when, str) else Instant(start - round(when * HOUR))


@dataclass(frozen=True, slots=True)
class SampleTest:
    """One record of a sample person: `region` keeps it, `name` tells it from the person's others. Without a result it
    is a sampling record. `corrected` is what the laboratory later amended the result to; `contradicted` what was
    offered under its id besides, and waits for a supervisor."""

    region: str
    name: str
    sampled: When | None
    reported: When | None = None
    result: TestResult.ValueType = TestResult.TEST_RESULT_UNSPECIFIED
    tube: Tube.ValueType = Tube.TUBE_SINGLE
    channel: Channel.ValueType = Channel.CHANNEL_LABORATORY
    origin: str = ""
    laboratory: str = ""
    corrected: TestResult.ValueType = TestResult.TEST_RESULT_UNSPECIFIED
    contradicted: TestResult.ValueType = TestResult.TEST_RESULT_UNSPECIFIED

    @property
    def fixed(self) -> bool:
        """Tells if it happened at fixed instants, whenever the mesh starts."""
        return isinstance(self.sampled, str) or isinstance(self.reported, str)

    def source_id(self, person: str, start: Instant) -> str:
        """Its id in its region: the same whenever the mesh starts within the same hour, unless it is fixed for good."""
        stamp = "2022" if self.fixed else format_rfc3339(start)[:13].replace("-", "")
        return f"sample-{person}-{self.name}-{stamp}"


@dataclass(frozen=True, slots=True)
class SamplePerson:
    """One invented person. `look` is the region whose code shows what they are there to show; `former` a document they
    had before, linked to the present one."""

    key: str
    name: Text
    type: DocumentType.ValueType
    number: str
    shows: Text
    look: str
    tests: tuple[SampleTest, ...] = ()
    former: Document | None = field(default=None)
    dependants: tuple[str, ...] = ()
    """The keys of those whose codes this person shows as their guardian."""

    @property
    def document(self) -> Document:
        """The document they show."""
        return Document(type=self.type, number=self.number)


def resident_id(area: str, birth: str, order: int) -> str:
    """A valid resident id (GB 11643). Sample people are born before 1910, so that no number is a living person's."""
    if birth >= "1910":
        raise ValueError("a sample person's number might be somebody's")
    first17 = f"{area}{birth}{order:03d}"
    return first17 + check_character(first17)
