"""A laboratory's standing: accreditation, suspensions, and how they change. A change is a new revision of the whole."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1.laboratory_pb2 import Interval, Laboratory, Suspension

from services.common.errors import AlreadyExists, FailedPrecondition, NotFound, Violation
from services.common.instants import Instant, from_timestamp, to_timestamp
from services.common.requests import fields
from services.common.requests.instants import instant
from services.common.requests.violations import violation

_TELEPHONE = re.compile(r"[0-9+() -]{3,40}")
MOST_INTERVALS = 100


@dataclass(frozen=True, slots=True)
class NewLaboratory:
    """One revision of a laboratory to append; a copy of another store's has its `recorded_at` already. `name`: see
    kept_as; by default its id."""

    laboratory: Laboratory
    copied: bool = False
    name: str = ""

    def stamped(self, recorded_at: Instant) -> Laboratory:
        """Returns the revision as committed at an instant; a copy as it is."""
        if self.copied:
            return self.laboratory
        made = Laboratory()
        made.CopyFrom(self.laboratory)
        moment = to_timestamp(recorded_at)
        made.recorded_at.CopyFrom(moment)
        for suspension in made.suspensions:
            if not suspension.HasField("recorded_at"):
                suspension.recorded_at.CopyFrom(moment)
            if suspension.lifted_cause and not suspension.HasField("lifted_at"):
                suspension.lifted_at.CopyFrom(moment)
        return made


def names(laboratory: str, region: str) -> Sequence[str]:
    """Returns the names under which a region's laboratory may be kept. No id contains a slash."""
    return laboratory, f"{laboratory}/{region}"


def kept_as(laboratory: str, region: str, known: Mapping[str, Laboratory]) -> str:
    """Returns the name under which it is kept: its id or, where another region's came first under that, one of its own.
    Nobody can tell from an id whose it should be, and no namesake's standing may get lost."""
    own, apart = names(laboratory, region)
    first = known.get(own)
    return own if first is None or first.region == region else apart


def interval_violations(interval: Interval, field: str) -> list[Violation]:
    """Returns everything wrong with an interval. Reasons INSTANT_RANGE, INTERVAL_EMPTY."""
    found: list[Violation] = []
    # `from` is a keyword of Python, so the field has to be fetched by name.
    start, end = getattr(interval, "from"), interval.to
    if interval.HasField("from"):
        found += instant(start, f"{field}.from")
    if interval.HasField("to"):
        found += instant(end, f"{field}.to")
    if (
        not found
        and interval.HasField("from")
        and interval.HasField("to")
        and from_timestamp(end) <= from_timestamp(start)
    ):
        found += violation(field, "INTERVAL_EMPTY", "区间的终点须晚于起点", "An interval ends after it begins")
    return found


def name_violations(name: LocalizedText, field: str = "display_name") -> list[Violation]:
    """Returns everything wrong with a laboratory's name. Reasons DISPLAY_NAME_REQUIRED, DISPLAY_NAME_TOO_LONG,
    DOCUMENT_NUMBER_NOT_ALLOWED."""
    if not name.zh.strip() and not name.en.strip():
        return violation(field, "DISPLAY_NAME_REQUIRED", "须填写机构名称", "The laboratory's name is required")
    if len(name.zh) > 200 or len(name.en) > 200:
        return violation(field, "DISPLAY_NAME_TOO_LONG", "机构名称不得超过200字", "A name has at most 200 characters")
    return fields.no_number(name.zh, field) or fields.no_number(name.en, field)


def contact_violations(contact: str, field: str = "contact") -> list[Violation]:
    """Returns what is wrong with a laboratory's telephone. Reason CONTACT_MALFORMED."""
    # E.164 has at most 15 digits, which is fewer than a document's number has.
    if not contact or (_TELEPHONE.fullmatch(contact) and 3 <= sum(map(str.isdigit, contact)) <= 15):
        return []
    return violation(
        field,
        "CONTACT_MALFORMED",
        "应为电话号码：至多15位数字，可含 + - ( ) 和空格",
        "A telephone: at most 15 digits, with + - ( ) and spaces",
    )


def accreditation_violations(accredited: Sequence[Interval], field: str = "accredited") -> list[Violation]:
    """Returns everything wrong with the intervals of an accreditation."""
    if len(accredited) > MOST_INTERVALS:
        return violation(field, "TOO_MANY", f"最多{MOST_INTERVALS}个区间", f"At most {MOST_INTERVALS} intervals")
    return [v for i, interval in enumerate(accredited) for v in interval_violations(interval, f"{field}[{i}]")]


def laboratory_not_found() -> NotFound:
    """Returns the laboratory is not registered here."""
    return NotFound("LABORATORY_NOT_FOUND", "没有该检测机构", "There is no such laboratory")


def put(
    current: Laboratory | None,
    region: str,
    laboratory: str,
    name: LocalizedText,
    accredited: Sequence[Interval],
    contact: str = "",
) -> NewLaboratory | None:
    """Returns the laboratory registered, or with another name, accreditation and contact; None when nothing changes.

    Raises AlreadyExists (LABORATORY_TAKEN) when another region supervises it.
    """
    if current is not None and current.region != region:
        raise AlreadyExists(
            "LABORATORY_TAKEN",
            "该检测机构编号已由另一地区登记",
            "Another region registered a laboratory under this id",
            {"region": current.region},
        )
    wanted = Laboratory(
        region=region,
        laboratory=laboratory,
        display_name=name,
        accredited=accredited,
        contact=contact,
        suspensions=() if current is None else current.suspensions,
        revision=1 if current is None else current.revision + 1,
    )
    same = current is not None and (current.display_name, current.contact) == (name, contact)
    if current is not None and same and list(current.accredited) == list(accredited):
        return None
    return NewLaboratory(wanted)


def _revised(current: Laboratory) -> Laboratory:
    made = Laboratory()
    made.CopyFrom(current)
    made.revision += 1
    made.ClearField("recorded_at")
    return made


def suspend(current: Laboratory | None, suspension_id: str, sampled: Interval, cause: str) -> NewLaboratory | None:
    """Returns the laboratory with one more suspension; None when it has exactly that one already.

    Raises NotFound (LABORATORY_NOT_FOUND) and AlreadyExists (SUSPENSION_CONFLICT) for the same id with other content.
    """
    if current is None:
        raise laboratory_not_found()
    for suspension in current.suspensions:
        if suspension.suspension_id == suspension_id:
            if suspension.sampled == sampled and suspension.cause == cause:
                return None
            raise AlreadyExists("SUSPENSION_CONFLICT", "该暂停编号已用于不同内容", "Another suspension has this id")
    made = _revised(current)
    made.suspensions.append(Suspension(suspension_id=suspension_id, sampled=sampled, cause=cause))
    return NewLaboratory(made)


def lift(current: Laboratory | None, suspension_id: str, cause: str) -> NewLaboratory | None:
    """Returns the laboratory with a suspension lifted; None when it was lifted before, for the same cause.

    Raises NotFound (LABORATORY_NOT_FOUND, SUSPENSION_NOT_FOUND) and FailedPrecondition (SUSPENSION_LIFTED).
    """
    if current is None:
        raise laboratory_not_found()
    made = _revised(current)
    for suspension in made.suspensions:
        if suspension.suspension_id == suspension_id:
            if not suspension.HasField("lifted_at"):
                suspension.lifted_cause = cause
                return NewLaboratory(made)
            if suspension.lifted_cause == cause:
                return None
            raise FailedPrecondition(
                "SUSPENSION_LIFTED", "该暂停已解除", "The suspension was lifted before, for another cause"
            )
    raise NotFound("SUSPENSION_NOT_FOUND", "没有该暂停", "There is no such suspension")
