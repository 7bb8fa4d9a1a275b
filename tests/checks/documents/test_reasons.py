"""Every reason that the code can give is on docs/reasons.md, with what to do about it."""

import ast
import re
from collections.abc import Iterator

from google.protobuf.descriptor import EnumDescriptor
from hutong.common.v1 import subject_pb2
from hutong.gateway.v1 import certificate_pb2, health_code_service_pb2
from hutong.lookup.v1 import evidence_service_pb2, region_pb2
from hutong.records.v1 import conflict_service_pb2, correction_service_pb2, record_pb2, record_write_service_pb2
from hutong.verdict.v1 import verdict_pb2

from services.runtime.settings.names import NAMES, PREFIX
from tests.testkit import reasons_page
from tests.testkit.checks import reasons
from tests.testkit.tools import ROOT

WORD = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")

CONTRACTS = (
    subject_pb2,
    certificate_pb2,
    health_code_service_pb2,
    evidence_service_pb2,
    region_pb2,
    conflict_service_pb2,
    correction_service_pb2,
    record_pb2,
    record_write_service_pb2,
    verdict_pb2,
)

OTHER_WORDS = {
    "BLOC_PARTNER": "a finding of hutong policy check",
    "CORRECTION_KIND": "a part of reasons: CORRECTION_KIND_REQUIRED, _UNKNOWN",
    "CORRECTION_ANSWER": "a part of reasons: CORRECTION_ANSWER_REQUIRED, _UNKNOWN",
    "CORRECTION_REQUEST_KIND": "a part of reasons: CORRECTION_REQUEST_KIND_REQUIRED, _UNKNOWN",
    "CURSOR_MOVED": "an outcome in the follower's log",
    "FILE_NAME": "a finding of hutong policy check",
    "FORWARDED_TO": "a part of reasons: FORWARDED_TO_REQUIRED, _FORMAT",
    "HUTONG_MOVE_TO": "a variable of the commands that move a store",
    "HUTONG_STORE_MOVING": "what a database that is closed to writes says to a writer",
    "IN_FORCE": "a finding of hutong policy check",
    "KNOWN_DOWN": "an outcome of asking a source, for metrics and spans",
    "MALFORMED_ANSWER": "an outcome of asking a source, for metrics and spans",
    "NOT_ADMITTED": "what a verdict's reasons are counted by",
    "NOT_READY": "a word of readiness",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "a variable of OpenTelemetry",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "a variable of OpenTelemetry",
    "OTEL_LOG_LEVEL": "a variable of OpenTelemetry",
    "OTEL_TRACES_SAMPLER": "a variable of OpenTelemetry",
    "OTEL_TRACES_SAMPLER_ARG": "a variable of OpenTelemetry",
    "OTHER_REGION": "why a follower refuses a change, for metrics",
    "SOURCE_ID": "a part of reasons: SOURCE_ID_REQUIRED, _FORMAT",
    "STRICTER_THAN_NOTICE": "a finding of hutong policy check",
    "SUSPENSION_ID": "a part of reasons: SUSPENSION_ID_REQUIRED, _FORMAT",
    "UNREACHABLE_CLAUSE": "a finding of hutong policy check",
}
"""Words that look like reasons and are none, with what they are."""


def enumerations() -> Iterator[str]:
    """Yields every value of the contracts' enumerations, without the enumeration's name."""
    for contract in CONTRACTS:
        enums: dict[str, EnumDescriptor] = contract.DESCRIPTOR.enum_types_by_name
        for name, enum in enums.items():
            prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper() + "_"
            yield from (value.name.removeprefix(prefix) for value in enum.values)


def words() -> Iterator[tuple[str, str]]:
    """Yields every word in capitals that services and gateway have in a string of its own, with its module."""
    for folder in reasons.FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and WORD.fullmatch(node.value):
                    yield node.value, str(path.relative_to(ROOT))


def test_the_page_is_what_the_code_gives():
    """`python -m tests.testkit.reasons_page > docs/reasons.md` writes it again."""
    assert reasons_page.PAGE.read_text(encoding="utf-8") == reasons_page.page()


def test_every_reason_of_state_says_what_to_do():
    """And nothing is advised about what cannot happen."""
    collected = reasons_page.collected()
    of_state = {name for name, places in collected.items() if not reasons_page.about_a_field(places)}
    assert (set(), set()) == (of_state - reasons_page.DO.keys(), reasons_page.DO.keys() - collected.keys())


def test_no_reason_is_hidden_from_the_page():
    """The source tells the reason wherever an error is made."""
    assert [] == reasons.unread(ROOT)


def test_no_word_that_could_be_a_reason_is_left_out():
    """It is a reason on the page, a value of an enumeration, a setting, or another word that is named above."""
    settings = {*NAMES, *(PREFIX + name for name in NAMES)}
    known = {
        *reasons_page.collected(),
        *reasons_page.VERDICT,
        *reasons_page.KEPT,
        *reasons_page.CERTIFICATE,
        *enumerations(),
        *settings,
        *OTHER_WORDS,
    }
    assert [] == [f"{module}: {word}" for word, module in words() if word not in known]


def test_every_other_word_is_still_one():
    """What is gone from the code is gone from the list."""
    assert set() == OTHER_WORDS.keys() - {word for word, _ in words()}
