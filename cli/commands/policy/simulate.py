"""`hutong policy simulate`: the past, as it was known then, under a draft."""

import argparse
import asyncio
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from cli.commands.laboratory.figures import print_table
from cli.commands.policy.paths import fail
from cli.exits import Exit, complain
from cli.simulation.chart import chart
from cli.simulation.people import everybody, laboratories
from cli.simulation.report import HEADER, bars, rows, write_csv
from services.common.errors import ServiceError, Text
from services.common.instants import HOUR, Instant, format_rfc3339, parse_rfc3339
from services.common.regions import NATION
from services.records.settings import Settings
from services.records.store.opening import open_whole
from services.records.store.protocols.reads import WholeStore
from services.runtime.settings.environment import SettingsError
from services.verdict.domain.policy.policy_set import OverlappingPolicies
from services.verdict.policy.files import DEFAULT_DIRECTORY, load_directory, policy_paths, read_policy
from services.verdict.policy.tools.simulation import Comparison, Simulation, lay_over
from services.verdict.policy.yaml_document import PolicyFileError

MOST_INSTANTS = 1_000
LINE_SECONDS = 10.0
"""How often a line is written where standard error is no terminal."""

DESCRIPTION = """\
取某一时段内若干时刻，按当时所知的证据，分别以现行政策和草案判定：谁会失去、谁会获得认可，按地区、来源、依据、场所分列，以及须重复检测多少次。
草案目录中的政策覆盖同编号者，其余添加；每一地区草案的首个版本视为自起始时刻施行。逐页读取，不随人数增加内存。不计证件关联和按年龄的豁免。

Takes instants of a span of time and judges the evidence as it was known at each, by the policies in use and by a
draft: who would lose and who would gain recognition, by region, origin, ground and scene, and how many repeat tests
that is. The draft's policies take the place of those of the same id, others are added; the first version of each region
in it is taken to be in force from the beginning. People are read page by page, in memory that does not grow with them.
Links between documents and exemptions by age are left out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = DESCRIPTION
    parser.add_argument("--draft", metavar="DIR", type=Path, required=True, help="草案目录 / the draft's directory")
    for name, help_text in (("from", "起 / the first instant"), ("to", "止 / the last instant at most")):
        parser.add_argument(
            f"--{name}", dest=f"{name}_", metavar="INSTANT", type=_instant, required=True, help=f"{help_text}, RFC 3339"
        )
    parser.add_argument(
        "--every",
        metavar="HOURS",
        type=_hours,
        default=24 * HOUR,
        help="间隔小时，缺省 24 / hours between; 24",
    )
    parser.add_argument("--sample", metavar="N", type=_count, help="抽样人数，缺省全部 / so many people; else all")
    parser.add_argument(
        "--policies", metavar="DIR", type=Path, default=DEFAULT_DIRECTORY, help="现行政策 / the policies in use"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--store-url", metavar="URL", help="记录库，宜为国家库 / the records store, best the nation's")
    where.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        default=Path(".hutong"),
        help="互通网的数据目录，取其国家库，缺省 .hutong / a mesh's data: its nation's store; .hutong by default",
    )
    parser.add_argument("--csv", metavar="FILE", type=Path, help="写出 CSV / write CSV")
    parser.add_argument("--chart", metavar="FILE", type=Path, help="写出 SVG 图 / write a chart, SVG")
    parser.set_defaults(run=run)


def _instant(text: str) -> Instant:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def _hours(text: str) -> int:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= 8784:
        raise argparse.ArgumentTypeError("0 至 8784 小时 / hours between 0 and 8784")
    return round(hours * HOUR)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError("至少为 1 / at least 1")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Simulates, and prints a table. 0; 2 when an argument or file cannot be used, 4 when the store does not answer."""
    if args.to_ < args.from_:
        return fail(ValueError("--to 早于 --from / --to is before --from"))
    instants = [Instant(at) for at in range(args.from_, args.to_ + 1, args.every)]
    if len(instants) > MOST_INSTANTS:
        return fail(ValueError(f"至多 {MOST_INSTANTS} 个时刻 / at most {MOST_INSTANTS} instants"))
    try:
        draft = [read_policy(path).policy for path in policy_paths(args.draft)]
        comparison = lay_over(load_directory(args.policies), draft, instants)
        url = args.store_url or f"sqlite:///{args.data / 'nation.db'}"
        simulation = asyncio.run(_simulate(url, comparison, instants, args.sample))
    except (PolicyFileError, OverlappingPolicies, OSError, SettingsError) as error:
        return fail(error)
    except ServiceError as error:
        complain(error.text)
        return Exit.UNREACHABLE
    return _tell(simulation, instants, args.csv, args.chart)


async def _simulate(url: str, comparison: Comparison, instants: list[Instant], sample: int | None) -> Simulation:
    store: WholeStore = open_whole(Settings(region=NATION, store_url=url))
    simulation = Simulation(comparison, instants)
    try:
        known = await laboratories(store)
        with _progress() as show:
            async for person in everybody(store, instants, sample, lambda: secrets.token_bytes(16)):
                simulation.add(person.known, known)
                show(person.share, simulation.people)
    finally:
        await store.close()
    return simulation


def _tell(simulation: Simulation, instants: list[Instant], csv_file: Path | None, chart_file: Path | None) -> int:
    span = f"{format_rfc3339(instants[0])} – {format_rfc3339(instants[-1])}"
    title = Text(
        f"{span}：共 {simulation.people:,} 人，{simulation.losing:,} 人失去、{simulation.gaining:,} 人获得认可",
        f"{span}: {simulation.people:,} people, {simulation.losing:,} lose and {simulation.gaining:,} gain recognition",
    )
    print_table(str(title), HEADER, rows(simulation.groups), words=4)
    try:
        if csv_file is not None:
            with csv_file.open("w", encoding="utf-8", newline="") as file:
                write_csv(file, simulation.groups)
        if chart_file is not None:
            chart_file.write_text(chart(title, bars(simulation.groups)), encoding="utf-8")
    except OSError as error:
        return fail(error)
    return Exit.OK


@contextmanager
def _progress() -> Iterator[Callable[[float, int], None]]:
    """Shows the share that is done: a bar where somebody is looking at it, else a line now and then."""
    last = monotonic()
    if not sys.stderr.isatty():

        def line(share: float, people: int) -> None:
            nonlocal last
            if monotonic() - last >= LINE_SECONDS:
                last = monotonic()
                print(f"{share:.0%} · {people} 人 people", file=sys.stderr, flush=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0, said="")

        def show(share: float, people: int) -> None:
            bar.update(task, completed=share, said=f"{people} 人 people")

        yield show
