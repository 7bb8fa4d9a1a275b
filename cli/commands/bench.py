"""`hutong bench`: measures ours and a yardstick in turn, and says the ratio."""

import argparse
import asyncio
import json
import sys
from importlib.util import find_spec
from pathlib import Path

from cli.exits import Exit, complain
from services.common.errors import Text

ROUNDS = 5

_DESCRIPTION = """\
性能基准：自行启动所需的一切，同一次运行中轮流测量标尺与本软件，多轮取中位数，报告离散程度与比值。
机器上的其他负载会改变数字，比值则较稳。不写 NAME 时列出全部。

Benchmarks: starts what it needs, measures a yardstick and ours in turn within one run, several rounds, and reports
medians, spread and the ratio. Other load on the machine moves the figures; the ratio moves less. Without NAME, lists
all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = _DESCRIPTION
    parser.add_argument("name", metavar="NAME", nargs="?", help="基准名称，或 all / the benchmark, or all")
    parser.add_argument(
        "--rounds", type=_rounds, default=ROUNDS, help=f"轮数，缺省 {ROUNDS} / rounds, by default {ROUNDS}"
    )
    parser.add_argument(
        "--json", action="store_true", help="每个基准输出一行 JSON / one line of JSON for each benchmark"
    )
    parser.add_argument(
        "--history",
        type=_lengths,
        metavar="N,N,…",
        help="仅 codes：未缓存的码，按持码人检测历史的次数 / codes only: a code past the cache, by the number of the "
        "holder's tests, such as 1,10,200,2000",
    )
    parser.add_argument(
        "--rows",
        type=_lengths,
        metavar="N,N,…",
        help="仅 capacity：库中的行数 / capacity only: how many rows the stores have, such as 10000,1000000",
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        help="仅 intake：写入该库，与本机单节点之比；库须已迁移，数据会留下 / "
        "intake only: into this store, PostgreSQL or Citus, beside one node here; its tables are there, and it keeps "
        "what it is given",
    )
    parser.set_defaults(run=run)


def _lengths(text: str) -> list[int]:
    lengths = [int(part) for part in text.split(",")]
    if min(lengths) < 1:
        raise argparse.ArgumentTypeError("至少一次 / at least one test")
    return lengths


def _rounds(text: str) -> int:
    rounds = int(text)
    if rounds < 1:
        raise argparse.ArgumentTypeError("至少一轮 / at least one round")
    return rounds


def run(args: argparse.Namespace) -> int:
    """Runs one benchmark, or all. UNREACHABLE when one lacks what it needs of the machine; the others run."""
    # Benchmarks are part of a checkout, and of no distribution.
    sys.path.append(str(Path(__file__).parents[2]))
    if find_spec("bench") is None:
        complain(Text("性能基准只在源码目录中", "Benchmarks are there in a checkout alone"))
        return Exit.USAGE
    from bench import machine, registry
    from bench.protocol import CannotRunError
    from bench.report import as_json, as_text

    known = registry.names()
    if args.name is None:
        print("\n".join(known))
        return Exit.OK
    if args.name != "all" and args.name not in known:
        complain(
            Text(
                f"没有这个基准：{args.name}，有：{'、'.join(known)}", f"No such benchmark; there are {', '.join(known)}"
            )
        )
        return Exit.USAGE
    if args.history and args.name != "codes":
        complain(Text("--history 只用于 codes", "--history goes with codes alone"))
        return Exit.USAGE
    if args.rows and args.name != "capacity":
        complain(Text("--rows 只用于 capacity", "--rows goes with capacity alone"))
        return Exit.USAGE
    if args.store and args.name != "intake":
        complain(Text("--store 只用于 intake", "--store goes with intake alone"))
        return Exit.USAGE
    status = Exit.OK
    for name in known if args.name == "all" else [args.name]:
        try:
            if args.history is not None:
                benchmark = registry.code_history(args.history)
            elif args.rows is not None:
                benchmark = registry.capacity(args.rows)
            elif args.store is not None:
                benchmark = registry.intake_into(args.store)
            else:
                benchmark = registry.load(name)
            report = asyncio.run(benchmark.run(args.rounds))
        except CannotRunError as error:
            complain(Text(f"{name}：{error.text.zh}", f"{name}: {error.text.en}"))
            status = Exit.UNREACHABLE
            continue
        except KeyboardInterrupt:
            return Exit.INTERRUPTED
        about = name, benchmark.title, machine.describe(), report
        print(json.dumps(as_json(*about), ensure_ascii=False) if args.json else as_text(*about), flush=True)
    return status
