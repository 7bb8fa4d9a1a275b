"""The result that a resource states, by codes or by words."""

from collections.abc import Iterable

from hutong.records.v1.record_pb2 import TestResult

from cli.laboratory_files import words
from cli.laboratory_files.fhir.json_values import Json, concept_text, object_of, objects_of, text_of
from cli.laboratory_files.fhir.tested import Kind, tested
from cli.laboratory_files.refusals import RefusedValueError

_POSITIVE = TestResult.TEST_RESULT_POSITIVE
_INCONCLUSIVE = TestResult.TEST_RESULT_INCONCLUSIVE
_NEGATIVE = TestResult.TEST_RESULT_NEGATIVE
UNSAID = TestResult.TEST_RESULT_UNSPECIFIED
# Interpretations that lean to a result: abnormal, critically abnormal, normal.
_LEANINGS = {"A": _POSITIVE, "AA": _POSITIVE, "N": _NEGATIVE}
_GRAVEST = (_POSITIVE, _INCONCLUSIVE, _NEGATIVE)


def result_of(resource: Json) -> TestResult.ValueType:
    """Returns the result of an Observation, with that of its components, or of a report's conclusion; UNSPECIFIED where
    it states none.

    Raises RefusedValueError: RESULT_CONTRADICTS where codes contradict each other or the interpretation, RESULT_UNKNOWN
    for words that are none.
    """
    own = _own_result(resource)
    parts = [
        _own_result(part)
        for part in objects_of(resource.get("component"))
        if tested(part.get("code")).kind in (Kind.TEST, Kind.PANEL)
    ]
    return gravest([own, *parts])


def gravest(results: Iterable[TestResult.ValueType]) -> TestResult.ValueType:
    """Returns the one result of a panel's targets: any detected is positive."""
    stated = set(results)
    return next((result for result in _GRAVEST if result in stated), UNSAID)


def _own_result(resource: Json) -> TestResult.ValueType:
    values = [object_of(resource.get("valueCodeableConcept")), *objects_of(resource.get("conclusionCode"))]
    said = _one({result for value in values for result in _coded(value)})
    interpretations = objects_of(resource.get("interpretation"))
    meant = _one({result for interpretation in interpretations for result in _interpreted(interpretation)})
    if said == UNSAID:
        said = _worded(resource, values, refuse=meant == UNSAID)
    # Abnormal is no result, but it contradicts one.
    leaning = {_LEANINGS[code] for one in interpretations for code in _codes(one) if code in _LEANINGS}
    if said != _INCONCLUSIVE:
        _one({said, *leaning} - {UNSAID})
    return _one({said, meant} - {UNSAID})


def _interpreted(concept: Json) -> list[TestResult.ValueType]:
    known = _coded(concept)
    if not known:
        try:
            known = [words.result(concept_text(concept))]
        except RefusedValueError:
            return []
    return [result for result in known if result != UNSAID]


def _codes(concept: Json) -> list[str]:
    return [text_of(coding.get("code")) for coding in objects_of(concept.get("coding"))]


def _coded(concept: Json) -> list[TestResult.ValueType]:
    codings = objects_of(concept.get("coding"))
    known = (words.coded_result(text_of(one.get("system")), text_of(one.get("code"))) for one in codings)
    return [result for result in known if result is not None]


def _worded(resource: Json, values: list[Json], *, refuse: bool) -> TestResult.ValueType:
    texts = [concept_text(value) for value in values]
    texts += [text_of(resource.get("valueString")), text_of(resource.get("conclusion"))]
    for text in texts:
        if text:
            try:
                return words.result(text)
            except RefusedValueError:
                if refuse:
                    raise
    return UNSAID


def _one(results: set[TestResult.ValueType]) -> TestResult.ValueType:
    if len(results) > 1:
        raise RefusedValueError(
            "RESULT_CONTRADICTS",
            "结果与结果、或结果与判读（interpretation）互相矛盾，请更正后重发",
            "Its results, or its result and its interpretation, contradict each other; correct it and send it again",
        )
    return next(iter(results), UNSAID)
