"""`hutong shadow`: a region's own answers beside the mesh's, for a file of questions."""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hutong.common.v1.subject_pb2 import Purpose
from hutong.verdict.v1 import verdict_service_pb2 as pb

from cli.exits import Exit, complain
from cli.mesh.target import Target, add_target, verdict_target_of
from cli.shadow.comparison import Agreement, Comparison, compare
from cli.shadow.questions import Question, QuestionError, query_of, read_question
from services.common.errors import ServiceError, Text
from services.common.regions import divisions

if TYPE_CHECKING:
    from hutong.verdict.v1.verdict_service_pb2 import VerdictOutcome

AT_ONCE = 500
"""Questions in one call."""
SECONDS = 30.0
"""How long one call may take."""

_DESCRIPTION = """\
影子运行：逐题比对本地区系统自己的答案与互通网的答案，只比对、不采用；不同之处说明字段与互通网的理由，不打印证件号码。
Runs in the shadow: compares a region's own answers with the mesh's, question by question, and uses neither. Each
difference names the line, the field, both values, and why the mesh answered so; no document number is printed.

每行一题 one question on each line (--region says whose rules are asked):
  {"document": {"type": "RESIDENT_ID", "number": "…"}, "at": "2022-08-09T12:00:00+08:00",
   "answer": {"status": "RECOGNISED", "colour": "GREEN", "daysSinceTest": 1, "validUntil": null}}
可省略 may be left out: at, scope, scene, dateOfBirth, answer.colour, answer.daysSinceTest, answer.validUntil

退出状态 exit status:
  0  全部一致 all the same
  2  命令或文件有误 the command line, or the file, cannot be used
  4  互通网不可达 the mesh could not be reached
  6  有答案不同或无答案 an answer differs, or the mesh has none"""


class Numbered(NamedTuple):
    """A question with the number of its line."""

    line: int
    question: Question


class Judge(Protocol):
    """The service that gives verdicts."""

    async def BatchComputeVerdicts(self, request: pb.BatchComputeVerdictsRequest, /) -> pb.BatchComputeVerdictsResponse:
        """See hutong.verdict.v1.VerdictService."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = _DESCRIPTION
    parser.add_argument("questions", metavar="FILE", help="JSON Lines；- 为标准输入 / or - for standard input")
    parser.add_argument("--region", required=True, help="地区代码 / the region's GB/T 2260 code")
    parser.add_argument("--json", action="store_true", help="每题一个 JSON 对象 / one JSON object for each question")
    add_target(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compares the answers; returns the exit status."""
    if args.region not in divisions():
        complain(Text(f"没有这个地区代码：{args.region}", f"There is no such region: {args.region}"))
        return Exit.USAGE
    questions = _read(args.questions)
    if questions is None:
        return Exit.USAGE
    target = verdict_target_of(args, args.region)
    if target is None:
        return Exit.UNREACHABLE
    try:
        outcomes = asyncio.run(_asked(target, questions, args.region))
    except ServiceError as error:
        complain(Text(f"{target.address}：{error.text.zh}", f"{target.address}: {error.text.en}"))
        return Exit.UNREACHABLE
    comparisons = [compare(one.question.answer, outcome) for one, outcome in zip(questions, outcomes, strict=True)]
    for one, comparison in zip(questions, comparisons, strict=True):
        for text in _json(one.line, comparison) if args.json else _text(one.line, comparison):
            print(text)
    counts = Counter(comparison.agreement for comparison in comparisons)
    same, different, unanswered = (counts[agreement] for agreement in Agreement)
    if not args.json:
        print(
            f"{len(questions)} 题：{same} 一致，{different} 不同，{unanswered} 无答案 / "
            f"{len(questions)} questions: {same} the same, {different} different, {unanswered} unanswered"
        )
    return Exit.OK if same == len(questions) else Exit.REFUSED


def _read(name: str) -> Sequence[Numbered] | None:
    # None after saying what is wrong with which lines: a file is compared as a whole, or not at all.
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        complain(Text(f"{name} 无法读取", f"{name} cannot be read: {error.strerror}"))
        return None
    questions: list[Numbered] = []
    wrong = False
    for line, text in enumerate(data.splitlines(), start=1):
        if text.strip():
            try:
                questions.append(Numbered(line, read_question(text)))
            except QuestionError as error:
                complain(Text(f"第 {line} 行有误", f"line {line}: {error}"))
                wrong = True
    if not questions and not wrong:
        complain(Text(f"{name} 中没有问题", f"{name} holds no question"))
    return None if wrong or not questions else questions


async def _asked(target: Target, questions: Sequence[Numbered], region: str) -> "Sequence[VerdictOutcome]":
    from services.runtime.rpc.call import enter, leave, within

    outcomes: list[VerdictOutcome] = []
    async with target.channels(f"region-{region}") as channels:
        judge = channels.remote(Judge, target.address, service="verdict", peer=target.peer)
        for start in range(0, len(questions), AT_ONCE):
            request = pb.BatchComputeVerdictsRequest(purpose=Purpose.PURPOSE_REGIONAL_SERVICE)
            request.queries.extend(query_of(one.question, region) for one in questions[start : start + AT_ONCE])
            entered = enter(within(SECONDS))
            try:
                response = await judge.BatchComputeVerdicts(request)
            finally:
                leave(entered)
            outcomes += response.outcomes
    return outcomes


def _text(line: int, comparison: Comparison) -> Iterator[str]:
    if comparison.agreement == Agreement.SAME:
        return
    yield f"第 {line} 行 line {line}: {comparison.agreement}"
    for field, own, mesh in comparison.differences:
        yield f"  {field}: 本地 own {own}, 互通网 mesh {mesh}"
    for why in comparison.why:
        yield f"    {why}"


def _json(line: int, comparison: Comparison) -> Iterator[str]:
    yield json.dumps(
        {
            "line": line,
            "agreement": comparison.agreement,
            "differences": [one._asdict() for one in comparison.differences],
            "why": list(comparison.why),
        },
        ensure_ascii=False,
    )
