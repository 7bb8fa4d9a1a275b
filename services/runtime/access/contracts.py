"""Checks that a table speaks of every method of the contracts, and of fields that requests have."""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from hutong.audit.v1 import witness_service_pb2
from hutong.gateway.v1 import health_code_service_pb2, push_service_pb2, supervision_service_pb2
from hutong.lookup.v1 import evidence_service_pb2, holder_service_pb2, region_directory_service_pb2
from hutong.records.v1 import (
    change_feed_service_pb2,
    conflict_service_pb2,
    correction_service_pb2,
    following_service_pb2,
    intake_service_pb2,
    laboratory_quality_service_pb2,
    record_read_service_pb2,
    record_write_service_pb2,
    restoration_service_pb2,
)
from hutong.verdict.v1 import policy_service_pb2, verdict_service_pb2

from services.runtime.access.table import AccessTable

FILES = (
    witness_service_pb2.DESCRIPTOR,
    health_code_service_pb2.DESCRIPTOR,
    push_service_pb2.DESCRIPTOR,
    supervision_service_pb2.DESCRIPTOR,
    evidence_service_pb2.DESCRIPTOR,
    holder_service_pb2.DESCRIPTOR,
    region_directory_service_pb2.DESCRIPTOR,
    change_feed_service_pb2.DESCRIPTOR,
    conflict_service_pb2.DESCRIPTOR,
    correction_service_pb2.DESCRIPTOR,
    following_service_pb2.DESCRIPTOR,
    intake_service_pb2.DESCRIPTOR,
    laboratory_quality_service_pb2.DESCRIPTOR,
    record_read_service_pb2.DESCRIPTOR,
    record_write_service_pb2.DESCRIPTOR,
    restoration_service_pb2.DESCRIPTOR,
    policy_service_pb2.DESCRIPTOR,
    verdict_service_pb2.DESCRIPTOR,
)
"""Every file of the contracts that has a service."""


def methods() -> Iterator[tuple[str, MethodDescriptor]]:
    """Yields every method of every contract under its full name."""
    for file in FILES:
        for service in file.services_by_name.values():
            for method in service.methods:
                yield f"{service.full_name}/{method.name}", method


def wrong_with(table: AccessTable) -> list[str]:
    """Returns a sentence for each thing that is wrong: a method left out or unknown, a field no request has, purposes
    where the request has no purpose and none where it has one."""
    known = dict(methods())
    wrong = [f"methods: {name} is left out" for name in sorted(known.keys() - table.rules.keys())]
    wrong += [f"methods: {name} is in no contract" for name in sorted(table.rules.keys() - known.keys())]
    for name in sorted(known.keys() & table.rules.keys()):
        request: Descriptor = known[name].input_type
        rule = table.rules[name]
        if bool(rule.purposes) != ("purpose" in request.fields_by_name):
            wrong.append(f"methods: {name}: purposes where the request has none, or none where it has one")
        fields = (*rule.regions, *rule.laboratories, *rule.origins)
        wrong += [f"methods: {name}: there is no field {path}" for path in fields if not _is_there(request, path)]
    return wrong


def _is_there(message: Descriptor, path: str) -> bool:
    name, _, rest = path.partition(".")
    field = message.fields_by_name.get(name)
    if field is None:
        return False
    return not rest if field.message_type is None else bool(rest) and _is_there(field.message_type, rest)
