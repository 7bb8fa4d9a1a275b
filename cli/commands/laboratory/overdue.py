"""`hutong laboratory overdue`: the samples whose result is overdue."""

import argparse

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1 import laboratory_quality_service_pb2 as pb

from cli.commands.laboratory.figures import OVERDUE_HEADER, overdue_json, overdue_row, print_json, print_table
from cli.commands.laboratory.query import LaboratoryFigures, add_query, answer_of, asked, pages_of
from cli.exits import Exit, complain
from services.common.errors import Text
from services.common.instants import format_rfc3339, from_timestamp

_DESCRIPTION = """\
采样后超过时限仍无结果的样本，最久的在前，供致电检测机构催报；不含个人信息。缺省为最近七天、存储设定的时限（24 小时）。
Samples whose result is overdue, oldest first, so that someone can call the laboratory; nothing about the person. By
default of the last seven days and past the store's own limit (24 hours). 结果已到的样本不会列出。
No sample whose result has come is listed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = _DESCRIPTION
    add_query(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Lists overdue samples; returns the exit status."""

    async def ask(store: LaboratoryFigures) -> tuple[list[pb.OverdueSample], Timestamp, Timestamp]:
        request = pb.ListOverdueSamplesRequest(laboratory=args.laboratory, **asked(args))
        pages = await pages_of(store.ListOverdueSamples, request)
        return [sample for page in pages for sample in page.samples], pages[0].known_at, pages[0].as_of

    answer = answer_of(args, ask)
    if isinstance(answer, Exit):
        return answer
    figures, known_at, as_of = answer
    if from_timestamp(as_of) < from_timestamp(known_at):
        # On standard error, where it is in the way of no line of JSON.
        behind = format_rfc3339(from_timestamp(as_of))[:16]
        complain(Text(f"{behind} 之后入库的样本可能未列出", f"samples that arrived after {behind} may be missing"))
    if args.json:
        print_json(map(overdue_json, figures))
    else:
        title = f"逾期样本 {len(figures)} 份，截至 overdue as known at {format_rfc3339(from_timestamp(known_at))[:16]}"
        print_table(title, OVERDUE_HEADER, map(overdue_row, figures), 4)
    return Exit.OK
