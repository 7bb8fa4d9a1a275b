"""Views of an answer, one for each purpose: a field mask for every message of the gateway's answers, as data.

A field that is named nowhere is sent to nobody, and a test fails until it is decided who sees it.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Purpose

M = TypeVar("M", bound=Message)

_VENUE = frozenset((Purpose.PURPOSE_VENUE_CHECK,))
_SUPERVISION = frozenset((Purpose.PURPOSE_SUPERVISION,))
_HOLDER = frozenset((Purpose.PURPOSE_SHOW_CODE, Purpose.PURPOSE_HOLDER_DECISION))
_SERVICE = _HOLDER | {Purpose.PURPOSE_REGIONAL_SERVICE}
_RECORDS = _SERVICE | _SUPERVISION
_ALL = _RECORDS | _VENUE
_ISSUERS = _SERVICE | {Purpose.PURPOSE_RECORD_KEEPING}
_VERIFIERS = _ALL | {Purpose.PURPOSE_RECORD_KEEPING}
_NOBODY: frozenset[Purpose.ValueType] = frozenset()


def _seen(by: frozenset[Purpose.ValueType], fields: str) -> dict[str, frozenset[Purpose.ValueType]]:
    return dict.fromkeys(fields.split(), by)


VIEWS: Mapping[str, Mapping[str, frozenset[Purpose.ValueType]]] = {
    "hutong.gateway.v1.ShowHealthCodeResponse": _seen(_ALL, "verdict freshness"),
    "hutong.gateway.v1.BatchShowHealthCodesResponse": _seen(_ALL, "outcomes"),
    "hutong.gateway.v1.HealthCodeOutcome": _seen(_ALL, "code error"),
    "hutong.gateway.v1.CheckDestinationsResponse": _seen(_RECORDS, "destinations"),
    "hutong.gateway.v1.Destination": _seen(_RECORDS, "region code summary"),
    "hutong.gateway.v1.CodeSummary": _seen(_RECORDS, "status colour valid_until reason text freshness"),
    "hutong.gateway.v1.ListResultsResponse": _seen(_RECORDS, "results coverage next_page_token laboratories"),
    "hutong.gateway.v1.LaboratoryView": _seen(_RECORDS, "laboratory display_name contact"),
    "hutong.gateway.v1.BatchListResultsResponse": _seen(_RECORDS, "outcomes"),
    "hutong.gateway.v1.ResultsOutcome": _seen(_RECORDS, "results error"),
    "hutong.gateway.v1.ResultView": _seen(_RECORDS, "record origin_region copied_to"),
    "hutong.gateway.v1.ClaimResultResponse": _seen(_SERVICE, "result created"),
    "hutong.gateway.v1.RequestCorrectionResponse": _seen(_SERVICE, "correction_request created"),
    "hutong.gateway.v1.ListHolderCorrectionRequestsResponse": _seen(_SERVICE, "correction_requests coverage"),
    "hutong.records.v1.CorrectionRequest": _seen(
        _SERVICE,
        "correction_request_id region source_id revision laboratory kind text requested_at later_revision answer "
        "corrected_by forwarded_to answer_text answered_at",
    ),
    "hutong.gateway.v1.ListAccessesResponse": _seen(_HOLDER, "accesses next_page_token"),
    "hutong.gateway.v1.Access": _seen(_HOLDER, "at caller method purpose outcome trace_id"),
    "hutong.gateway.v1.IssuePassResponse": _seen(_HOLDER, "text issued_at expires_at masked_name qr_svg code left_out"),
    "hutong.gateway.v1.IssueCertificateResponse": _seen(
        _ISSUERS, "text identifier issued_at expires_at qr_svg qr_png pdf left_out"
    ),
    "hutong.gateway.v1.LeftOut": _seen(_HOLDER | _ISSUERS, "parts text retry_after"),
    # Whoever was handed a certificate sees of it what can be compared with the person who stands there.
    "hutong.gateway.v1.VerifyCertificateResponse": _seen(_VERIFIERS, "verified reason text certificate"),
    "hutong.gateway.v1.CertificateView": _seen(
        _VERIFIERS,
        "group masked_name born result nucleic_acid sampled_at issued_at expires_at region country standing_checked",
    ),
    "hutong.gateway.v1.PresentCertificateResponse": _seen(_SERVICE, "record created"),
    "hutong.gateway.v1.PutPushSubscriptionResponse": _seen(_HOLDER, "created"),
    "hutong.gateway.v1.DeletePushSubscriptionResponse": _seen(_HOLDER, "deleted"),
    "hutong.gateway.v1.SwitchScopeResponse": _seen(_SERVICE, "scope"),
    "hutong.gateway.v1.ListRefusalsResponse": _seen(_SUPERVISION, "refusals next_page_token"),
    "hutong.gateway.v1.Refusal": _seen(
        _SUPERVISION,
        "refusal_id region scene scope status notice at known_at first_shown_at policy reasons silent_sources",
    ),
    "hutong.gateway.v1.ReopenRefusalResponse": _seen(_SUPERVISION, "refusal verdict same"),
    # A venue sees the colour, the word, the scene and until when; supervision why, and not the test itself.
    "hutong.verdict.v1.Verdict": {
        **_seen(_ALL, "status colour scene valid_until"),
        **_seen(_RECORDS, "region scope at grounds reasons further_reasons coverage policy computed_at notice"),
        **_seen(_RECORDS, "national_would_recognise judged_by_scene_rules laboratories"),
        **_seen(_SERVICE, "days_since_test days_evidence newest_test fresh_until"),
        **_seen(_NOBODY, "person_keys"),
    },
    "hutong.verdict.v1.Ground": _seen(_RECORDS, "clause text evidence valid_until"),
    "hutong.verdict.v1.Reason": _seen(_RECORDS, "code clause evidence text ended_at"),
    "hutong.verdict.v1.ReasonCount": _seen(_RECORDS, "code clause count text at_least"),
    "hutong.verdict.v1.EvidenceRef": _seen(_RECORDS, "region source_id revision"),
    "hutong.verdict.v1.PolicyRef": _seen(_RECORDS, "region policy_id content_hash effective_from"),
    "hutong.records.v1.TestRecord": {
        **_seen(_RECORDS, "region source_id revision content action cause recorded_at"),
        **_seen(_SUPERVISION, "written_by"),
        **_seen(_NOBODY, "person_key"),
    },
    "hutong.records.v1.RecordContent": _seen(
        _RECORDS, "kind sampled_at reported_at result tube laboratory site channel origin"
    ),
    "hutong.records.v1.Origin": _seen(_RECORDS, "region source_id revision"),
    "hutong.lookup.v1.SourceCoverage": _seen(_RECORDS, "source status as_of reason"),
    "hutong.lookup.v1.Region": _seen(
        _RECORDS, "region display_name health_code bloc interop_mode on_mesh scope_switch records_address"
    ),
    "hutong.common.v1.LocalizedText": _seen(_VERIFIERS, "zh en"),
    "hutong.common.v1.Error": _seen(_ALL, "code reason message violations metadata"),
    "hutong.common.v1.FieldViolation": _seen(_ALL, "field reason message"),
}
"""By message and field: the purposes that see it."""


def sees(purpose: Purpose.ValueType, message: str, field: str) -> bool:
    """Tells whether a purpose sees a field of a message, by their names in the contract."""
    return purpose in VIEWS.get(message, {}).get(field, _NOBODY)


def narrowed(message: M, purpose: Purpose.ValueType) -> M:
    """Takes out of an answer what its purpose does not see, and returns it."""
    narrow = _narrower(message.DESCRIPTOR, purpose)
    if narrow is not None:
        # A field of a later version of the contract is nobody's yet.
        message.DiscardUnknownFields()
        narrow(message)
    return message


@lru_cache(1024)
def _narrower(kind: Descriptor, purpose: Purpose.ValueType) -> Callable[[Any], None] | None:
    """Returns what narrows messages of a kind; None where the purpose sees all of it but what is never filled."""
    hidden = [field.name for field in kind.fields if not sees(purpose, kind.full_name, field.name)]
    below = list(_below(kind, purpose, hidden))
    if not below and all(not VIEWS[kind.full_name].get(name) for name in hidden):
        # What nobody sees is left out where the answer is made.
        return None

    def narrow(message: Any) -> None:
        for name in hidden:
            message.ClearField(name)
        for name, repeated, one in below:
            if repeated:
                for item in getattr(message, name):
                    one(item)
            elif message.HasField(name):
                one(getattr(message, name))

    return narrow


def _below(
    kind: Descriptor, purpose: Purpose.ValueType, hidden: list[str]
) -> Iterator[tuple[str, bool, Callable[[Any], None]]]:
    for field in kind.fields:
        message = field.message_type
        if message is None or field.name in hidden or message.GetOptions().map_entry:
            continue
        if message.full_name.startswith("hutong."):
            narrow = _narrower(message, purpose)
            if narrow is not None:
                yield field.name, field.is_repeated, narrow
