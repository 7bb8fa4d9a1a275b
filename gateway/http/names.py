"""The names of the contracts' enums as JSON has them: without their common prefix."""

from collections.abc import Sequence
from typing import Protocol

from hutong.common.v1.subject_pb2 import DocumentType, Purpose
from hutong.gateway.v1.certificate_pb2 import CertificateFormat
from hutong.gateway.v1.health_code_service_pb2 import DestinationView, Freshness
from hutong.gateway.v1.left_out_pb2 import OptionalPart
from hutong.gateway.v1.push_service_pb2 import PushLanguage
from hutong.lookup.v1.evidence_service_pb2 import SourceStatus
from hutong.lookup.v1.region_pb2 import InteropMode, Scope
from hutong.records.v1.conflict_service_pb2 import Settlement
from hutong.records.v1.correction_service_pb2 import CorrectionAnswer, CorrectionRequestKind
from hutong.records.v1.record_pb2 import Channel, RecordKind, RevisionAction, TestResult, Tube
from hutong.verdict.v1.scene_pb2 import Scene
from hutong.verdict.v1.verdict_pb2 import Colour, NoticeOutcome, Status

UNKNOWN = -1
"""Stands for a name that no enum knows; the admission refuses it as it refuses an unknown number."""


class _Enum(Protocol):
    def items(self) -> Sequence[tuple[str, int]]: ...


class EnumNames:
    """The names of an enum's values; UNSPECIFIED has none."""

    def __init__(self, enum: _Enum, prefix: str) -> None:
        self.values: dict[str, int] = {
            name.removeprefix(prefix): number for name, number in enum.items() if not name.endswith("_UNSPECIFIED")
        }
        self._names = {number: name for name, number in self.values.items()}

    def __getitem__(self, number: int) -> str:
        """The name of a value; a number that this version of the contract does not know is its own name."""
        return self._names.get(number) or str(number)

    def maybe(self, number: int) -> str | None:
        """The name of a value; None for UNSPECIFIED."""
        return self[number] if number else None

    def number(self, name: str | None) -> int:
        """The value of a name: 0 for none, UNKNOWN for one that the enum does not have."""
        return self.values.get(name, UNKNOWN) if name else 0


ACTION = EnumNames(RevisionAction, "REVISION_ACTION_")
CERTIFICATE_FORMAT = EnumNames(CertificateFormat, "CERTIFICATE_FORMAT_")
CHANNEL = EnumNames(Channel, "CHANNEL_")
COLOUR = EnumNames(Colour, "COLOUR_")
CORRECTION_ANSWER = EnumNames(CorrectionAnswer, "CORRECTION_ANSWER_")
CORRECTION_KIND = EnumNames(CorrectionRequestKind, "CORRECTION_REQUEST_KIND_")
DESTINATION_VIEW = EnumNames(DestinationView, "DESTINATION_VIEW_")
DOCUMENT_TYPE = EnumNames(DocumentType, "DOCUMENT_TYPE_")
FRESHNESS = EnumNames(Freshness, "FRESHNESS_")
INTEROP = EnumNames(InteropMode, "INTEROP_MODE_")
KIND = EnumNames(RecordKind, "RECORD_KIND_")
NOTICE = EnumNames(NoticeOutcome, "NOTICE_OUTCOME_")
OPTIONAL_PART = EnumNames(OptionalPart, "OPTIONAL_PART_")
PURPOSE = EnumNames(Purpose, "PURPOSE_")
PUSH_LANGUAGE = EnumNames(PushLanguage, "PUSH_LANGUAGE_")
RESULT = EnumNames(TestResult, "TEST_RESULT_")
SCENE = EnumNames(Scene, "SCENE_")
SCOPE = EnumNames(Scope, "SCOPE_")
SETTLEMENT = EnumNames(Settlement, "SETTLEMENT_")
SOURCE = EnumNames(SourceStatus, "SOURCE_STATUS_")
STATUS = EnumNames(Status, "STATUS_")
TUBE = EnumNames(Tube, "TUBE_")
