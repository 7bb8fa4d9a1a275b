"""Serves the methods of RecordWriteService that change a laboratory's standing."""

from collections.abc import Callable

from google.protobuf.message import Message
from hutong.records.v1 import record_write_service_pb2 as pb
from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.errors import Violation
from services.common.instants import Instant
from services.common.requests import fields
from services.common.requests.violations import violation
from services.records.domain import standing
from services.records.domain.standing import NewLaboratory
from services.records.servicers.writer import Writer, refuse, request_key
from services.records.store.unit_of_work import Known, Plan, Touch

_Change = Callable[[Laboratory | None], NewLaboratory | None]


def _suspension_id(value: str) -> list[Violation]:
    return fields.printable_id(value, "suspension_id", "SUSPENSION_ID", "暂停编号", "suspension's id")


class LaboratoryMethods:
    """The part of a RecordWriteService that is about laboratories."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def PutLaboratory(self, request: pb.PutLaboratoryRequest) -> pb.PutLaboratoryResponse:
        """Registers a laboratory. Raises AlreadyExists (LABORATORY_TAKEN) when another region's has the id."""
        refuse(
            self._writer.region_violations(request.region)
            + fields.laboratory_id(request.laboratory, "laboratory")
            + standing.name_violations(request.display_name)
            + standing.contact_violations(request.contact)
            + standing.accreditation_violations(request.accredited)
            + fields.request_id(request.request_id),
            request.region,
        )

        def change(current: Laboratory | None) -> NewLaboratory | None:
            return standing.put(
                current,
                request.region,
                request.laboratory,
                request.display_name,
                request.accredited,
                request.contact,
            )

        laboratory = await self._change(request, request.laboratory, request.request_id, change)
        return pb.PutLaboratoryResponse(laboratory=laboratory)

    async def SuspendLaboratory(self, request: pb.SuspendLaboratoryRequest) -> pb.SuspendLaboratoryResponse:
        """Voids what a laboratory sampled in an interval. Raises NotFound (LABORATORY_NOT_FOUND) and AlreadyExists
        (SUSPENSION_CONFLICT)."""
        found = fields.laboratory_id(request.laboratory, "laboratory")
        found += _suspension_id(request.suspension_id)
        if request.HasField("sampled"):
            found += standing.interval_violations(request.sampled, "sampled")
        else:
            found += violation(
                "sampled", "SAMPLED_REQUIRED", "须指明采样时间区间", "The interval of sampling times is required"
            )
        refuse(found + fields.cause(request.cause) + fields.request_id(request.request_id))

        def change(current: Laboratory | None) -> NewLaboratory | None:
            self._check_kept(current)
            return standing.suspend(current, request.suspension_id, request.sampled, request.cause)

        laboratory = await self._change(request, request.laboratory, request.request_id, change)
        return pb.SuspendLaboratoryResponse(laboratory=laboratory)

    async def LiftSuspension(self, request: pb.LiftSuspensionRequest) -> pb.LiftSuspensionResponse:
        """Lifts a suspension. Raises NotFound (LABORATORY_NOT_FOUND, SUSPENSION_NOT_FOUND) and FailedPrecondition
        (SUSPENSION_LIFTED)."""
        refuse(
            fields.laboratory_id(request.laboratory, "laboratory")
            + _suspension_id(request.suspension_id)
            + fields.cause(request.cause)
            + fields.request_id(request.request_id)
        )

        def change(current: Laboratory | None) -> NewLaboratory | None:
            self._check_kept(current)
            return standing.lift(current, request.suspension_id, request.cause)

        laboratory = await self._change(request, request.laboratory, request.request_id, change)
        return pb.LiftSuspensionResponse(laboratory=laboratory)

    def _check_kept(self, current: Laboratory | None) -> None:
        if current is not None:
            refuse(self._writer.region_violations(current.region), current.region)

    async def _change(self, request: Message, laboratory: str, request_id: str, change: _Change) -> Laboratory:
        def decide(known: Known) -> Plan:
            current = known.laboratories.get(laboratory)
            new = change(current)

            def answer(committed: Instant) -> bytes:
                now = current if new is None else new.stamped(committed)
                return b"" if now is None else now.SerializeToString()

            return Plan(answer, laboratories=[] if new is None else [new])

        touch = Touch(laboratories=[laboratory], request=request_key(request, request_id))
        return Laboratory.FromString(await self._writer.commit(touch, decide))
