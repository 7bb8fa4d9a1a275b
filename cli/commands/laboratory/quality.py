"""`hutong laboratory quality`: how well laboratories work."""

import argparse

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1 import laboratory_quality_service_pb2 as pb

from cli.commands.laboratory.figures import QUALITY_HEADER, print_json, print_table, quality_json, quality_row
from cli.commands.laboratory.query import LaboratoryFigures, add_query, answer_of, asked, pages_of
from cli.exits import Exit
from services.common.instants import format_rfc3339, from_timestamp

_DESCRIPTION = """\
每个机构每天（采样日，UTC+8）：出报告时效（中位、95%）、逾期样本、修订率、撤回率、阳性率、矛盾结果对数。
Per laboratory and day of sampling (UTC+8): turnaround (median, 95 of 100, as hours:minutes), overdue samples, amended,
withdrawn and positive shares, and pairs of results of one person and day that contradict each other.
缺省取自随入库累计的计数，片刻即得，并注明截至何时；--known-at 逐条重算，样本多则久。
By default from counts kept up to date, at once, with the instant they are of; --known-at counts the records again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = _DESCRIPTION
    add_query(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Shows the figures; returns the exit status."""

    async def ask(store: LaboratoryFigures) -> tuple[list[pb.LaboratoryQuality], Timestamp]:
        if args.laboratory:
            request = pb.GetLaboratoryQualityRequest(laboratory=args.laboratory, **asked(args))
            one = await store.GetLaboratoryQuality(request)
            return list(one.days), one.known_at
        pages = await pages_of(store.ListLaboratoryQuality, pb.ListLaboratoryQualityRequest(**asked(args)))
        return [quality for page in pages for quality in page.quality], pages[0].known_at

    answer = answer_of(args, ask)
    if isinstance(answer, Exit):
        return answer
    figures, known_at = answer
    if args.json:
        print_json(map(quality_json, figures))
    else:
        title = f"检测机构质量，截至 laboratories as known at {format_rfc3339(from_timestamp(known_at))[:16]}"
        print_table(title, QUALITY_HEADER, map(quality_row, figures), 2)
    return Exit.OK
