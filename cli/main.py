"""`hutong`: one command line for the whole mesh."""

import argparse
import io
import sys
from collections.abc import Sequence

from cli.commands import bench, laboratory, migrate, policy, up
from cli.commands import import_ as import_command
from cli.commands.records import command
from cli.exits import Exit

_DESCRIPTION = """\
互通：一次核酸检测，全国互认。
hutong: one national answer to one question: is this person's nucleic-acid test recognised here, now, and until when?"""


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; each command sets `run`, which takes the arguments and returns a status."""
    whole = argparse.ArgumentParser(
        prog="hutong", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = whole.add_subparsers(metavar="COMMAND", required=True, title="命令 commands")
    up.add_parser(commands)
    import_command.add_parser(commands)
    laboratory.add_parser(commands)
    policy.add_parser(commands)
    command.add_parser(commands)
    migrate.add_parser(commands)
    bench.add_parser(commands)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without Chinese shows question marks, and nothing fails.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    args = parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
