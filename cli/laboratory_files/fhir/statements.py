"""Statements of Observations and reports about one sample, and the row that several of them come to."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from hutong.records.v1.record_pb2 import TestResult

from cli.laboratory_files.columns import Column
from cli.laboratory_files.fhir.identity import Identity
from cli.laboratory_files.fhir.results import UNSAID, gravest
from cli.laboratory_files.refusals import RefusedValueError
from cli.laboratory_files.times import time


class State(Enum):
    """The state that a resource's status puts it in."""

    FINAL = "final"
    NOT_YET = "not yet"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"
    NOT_TAKEN = "not taken"


_STATES = {
    "final": State.FINAL,
    "appended": State.FINAL,
    "amended": State.CORRECTED,
    "corrected": State.CORRECTED,
    "registered": State.NOT_YET,
    "preliminary": State.NOT_YET,
    "partial": State.NOT_YET,
    "entered-in-error": State.WITHDRAWN,
}


def state_of(status: str) -> State:
    """Returns the state that a status puts a resource in."""
    return _STATES.get(status, State.NOT_TAKEN)


class Statement(NamedTuple):
    """One resource's statement; texts as they stand in it, `problem` where its result cannot be read."""

    row: int
    sample_id: str
    identity: Identity
    effective: str
    issued: str
    status: str
    result: TestResult.ValueType
    tube: str
    problem: RefusedValueError | None = None

    @property
    def state(self) -> State:
        """Returns the state that its status puts it in."""
        return state_of(self.status)


def combined(statements: Sequence[Statement], conclusions: Sequence[Statement] = ()) -> dict[Column, str]:
    """Returns the texts of the one row that a panel's targets, and the conclusions drawn from them, come to: any
    detected is positive; while one is awaited and none is positive, there is no result yet.

    Raises RefusedValueError: STATUS_NOT_TAKEN, RESULT_REQUIRED, or a statement's own problem.
    """
    standing = [one for one in statements if one.state not in (State.WITHDRAWN, State.NOT_TAKEN)]
    first = (standing or statements)[0]
    texts = {
        Column.SAMPLE_ID: first.sample_id,
        Column.DOCUMENT_TYPE: first.identity.type,
        Column.DOCUMENT_NUMBER: first.identity.number,
    }
    if not standing:
        if any(one.state is State.WITHDRAWN for one in statements):
            return texts | _declared("撤回", first.status) | dict.fromkeys(_EMPTY, "")
        raise RefusedValueError(
            "STATUS_NOT_TAKEN",
            "该状态的资源不导入",
            "A resource of this status is not taken",
        )
    for statement in standing:
        if statement.problem is not None:
            raise statement.problem
    judging = [*standing, *conclusions]
    result = gravest(one.result for one in judging)
    waiting = any(one.state is State.NOT_YET for one in standing) and result != TestResult.TEST_RESULT_POSITIVE
    if result == UNSAID and not waiting:
        raise RefusedValueError(
            "RESULT_REQUIRED", "没有可识别的检测结果", "It is final and states no result that is known here"
        )
    changed = [one.status for one in judging if one.state is State.CORRECTED]
    changed += [one.status for one in statements if one.state is State.WITHDRAWN]
    return (
        texts
        | {
            Column.SAMPLED_AT: next((one.effective for one in standing if one.effective), ""),
            Column.REPORTED_AT: "" if waiting else _latest([one.issued for one in standing]),
            Column.RESULT: "" if waiting else TestResult.Name(result).removeprefix("TEST_RESULT_"),
            Column.TUBE: next((one.tube for one in standing if one.tube), "SINGLE"),
        }
        | (_declared("更正", changed[0]) if changed and not waiting else {})
    )


_EMPTY = (Column.SAMPLED_AT, Column.REPORTED_AT, Column.RESULT, Column.TUBE)


def _declared(word: str, status: str) -> dict[Column, str]:
    cause = f"检验机构{word}（FHIR status: {status}）"
    return {Column.CORRECTION: word, Column.CORRECTION_CAUSE: cause}


def _latest(texts: Sequence[str]) -> str:
    """Returns the latest of some instants; one that cannot be read rather than any other, so that it is seen."""
    if len(set(texts)) < 2:
        return texts[0]
    instants = {}
    for text in filter(None, texts):
        try:
            instants[time(text, local=False) or 0] = text
        except RefusedValueError:
            return text
    return instants[max(instants)]
