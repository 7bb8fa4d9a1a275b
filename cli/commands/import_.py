"""`hutong import`: a laboratory's file goes into the store of its region."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from cli.importing.summary import summarise
from cli.mesh.plan import system_of
from cli.mesh.target import Target, add_target, target_of
from services.common.errors import ServiceError, Text

if TYPE_CHECKING:
    from cli.importing.batches import Destination
    from cli.importing.opening import OpenedFile
    from cli.importing.sending import RecordIntake

CALLER = "hutong-import"
_STANDARD_INPUT = "stdin"

_DESCRIPTION = """\
把检验机构的结果文件（CSV、xlsx、JSON Lines、FHIR R4）导入其地区的记录库。编码（UTF-8、GB18030）和表头语言自动识别；
合格的行入库，不合格的行连同原因写入报告。重复导入不会重复入库。文件格式见 docs/laboratory-files.md。

Sends a laboratory's result file (CSV, xlsx, JSON Lines, FHIR R4) to the store of its region. Encoding and header
language are found out; good rows are stored, bad ones go into a report with their reasons. Importing twice doubles
nothing.

退出状态 exit status:
  0  全部入库 every row is stored
  2  命令或文件有误 the command line is wrong or the file unreadable
  3  有行被拒收，见报告 some rows were refused, see the report
  4  无法连接；已确认的行不会丢失，重新运行即可 mesh unreachable; nothing acknowledged is lost, run it again
  130  已中断；重新运行即继续 interrupted; run it again to go on"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = _DESCRIPTION
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="CSV、xlsx、JSON Lines 或 FHIR R4 文件；- 为标准输入；互相引用的 FHIR 文件一并给出 / "
        "CSV, xlsx, JSON Lines or FHIR R4; - is standard input; FHIR files that refer to each other are given together",
    )
    parser.add_argument(
        "--format",
        choices=["auto", "csv", "jsonl", "fhir", "xlsx"],
        default="auto",
        help="文件格式，缺省由内容判断 / the file's format, by default found out from its content",
    )
    parser.add_argument("--region", required=True, help="地区代码，如 430000 / the region's GB/T 2260 code")
    parser.add_argument("--lab", required=True, help="机构编号，如 430000-xiangya / the laboratory's id in the mesh")
    parser.add_argument(
        "--site", help="采样地点的行政区划代码，缺省为地区代码 / the place of sampling, by default the region itself"
    )
    add_target(parser)
    parser.add_argument("--report", type=Path, help="拒收报告，缺省为 FILE.rejected.csv / the report of refused rows")
    parser.set_defaults(run=run)


def _destination(args: argparse.Namespace) -> "Destination | None":
    from cli.importing.batches import Destination
    from services.common.requests import fields

    site = args.site or args.region
    violations = fields.region(args.region, "--region") + fields.laboratory_id(args.lab, "--lab")
    violations += fields.site(site, "--site")
    for wrong in violations:
        complain(Text(f"{wrong.field}：{wrong.text.zh}", f"{wrong.field}: {wrong.text.en}"))
    return None if violations else Destination(args.region, args.lab, site)


def _stops_at_interrupt() -> asyncio.Event:
    """Set at the first Ctrl-C, so that what is under way comes to its end; the second ends the process."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def interrupted() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, interrupted)
    return stop


async def _send_all(
    args: argparse.Namespace, paths: Sequence[Path], destination: "Destination", target: Target
) -> Exit:
    """Sends the files one after another; returns the gravest exit status."""
    from cli.importing.opening import open_laboratory_files
    from cli.importing.sending import RecordIntake

    stop = _stops_at_interrupt()
    worst = Exit.OK
    with open_laboratory_files(paths, args.format) as files:
        async with target.channels(CALLER) as channels:
            intake = channels.remote(RecordIntake, target.address, service="records", peer=target.peer)
            for opened in files:
                worst = max(worst, await _send(args, opened, paths, destination, target.address, intake, stop))
                if worst > Exit.ROWS_REFUSED:
                    break
    return worst


async def _send(
    args: argparse.Namespace,
    opened: "OpenedFile",
    paths: Sequence[Path],
    destination: "Destination",
    address: str,
    intake: "RecordIntake",
    stop: asyncio.Event,
) -> Exit:
    from cli.importing.journal import Journal
    from cli.importing.progress import progress_bar
    from cli.importing.report import rejection_report
    from cli.importing.sending import StoppedError, send

    began = perf_counter()
    named = Path(_STANDARD_INPUT) if args.files == [Path("-")] else opened.path
    report_path = args.report or named.with_name(f"{named.name}.rejected.csv")
    # What came on standard input cannot be read again, so there is nothing to resume.
    journal = Journal(opened.path, destination, paths) if named == opened.path else None
    with (
        rejection_report(report_path, always=args.report is not None) as report,
        progress_bar(opened.path, opened.position) as show,
    ):
        error: ServiceError | None = None
        try:
            tally = await send(
                opened.rows, intake, destination, report=report.add, progress=show, journal=journal, stop=stop
            )
        except StoppedError as stopped:
            tally, error = stopped.tally, stopped.error
    seconds = perf_counter() - began
    # Of what was done before an interruption, nobody knows how long it took.
    pace = "" if journal is not None and journal.resumes else f", {tally.rows / seconds:,.0f} 行/秒 rows/s"
    print(f"{named.name}（{_encoding(opened.encoding)}）: {tally.rows} 行 rows, {seconds:.1f} s{pace}")
    summarise(opened.rows.layout.unused, tally, opened.rows.notes)
    if report.rows:
        print(f"拒收的行 / refused rows: {report_path}")
    if error is not None:
        complain(
            Text(
                f"{address} 未能接收：{error.text.zh}。已确认的 {tally.good} 行不会丢失，重新运行即可",
                f"{address} took no more: {error.text.en}. {tally.good} acknowledged rows are safe; run again",
            )
        )
        return Exit.UNREACHABLE
    if stop.is_set() and (journal is None or not journal.complete):
        complain(
            Text(
                f"已中断；已确认的 {tally.good} 行不会丢失，再次运行同一命令即从此处继续",
                f"Interrupted; {tally.good} acknowledged rows are safe; run the same command again to go on from here",
            )
        )
        return Exit.INTERRUPTED
    return Exit.ROWS_REFUSED if tally.bad else Exit.OK


def _encoding(name: str) -> str:
    return "UTF-8" if name.startswith("utf") else name.upper()


def run(args: argparse.Namespace) -> int:
    """Imports the file; returns the exit status."""
    import uvloop

    from cli.importing.opening import spooled_input
    from cli.laboratory_files.refusals import UnreadableFileError

    destination = _destination(args)
    if destination is None:
        return Exit.USAGE
    target = target_of(args, args.region, system_of(args.region))
    if target is None:
        return Exit.UNREACHABLE
    if args.report is not None and len(args.files) > 1:
        complain(Text("一次导入几个文件时不能指定 --report", "--report is for one file, not for several"))
        return Exit.USAGE
    try:
        if args.files == [Path("-")]:
            with spooled_input() as spooled:
                return uvloop.run(_send_all(args, [spooled], destination, target))
        return uvloop.run(_send_all(args, args.files, destination, target))
    except UnreadableFileError as error:
        complain(error.text)
        return Exit.USAGE
    except OSError as error:
        complain(Text(f"无法写入报告：{error}", f"Cannot write the report: {error}"))
        return Exit.USAGE
    except (KeyboardInterrupt, asyncio.CancelledError):
        print(file=sys.stderr)
        complain(Text("已中断；已确认的行不会丢失", "Interrupted; the rows acknowledged are safe"))
        return Exit.INTERRUPTED
