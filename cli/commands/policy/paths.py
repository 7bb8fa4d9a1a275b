"""The common part of the commands about policies: the files they are given, and how they fail."""

import argparse
import sys
from pathlib import Path

from cli.exits import Exit


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Adds the argument that names policies."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        type=Path,
        help="文件或目录，缺省为自带的政策 / files or directories; by default those of the software",
    )


def fail(error: Exception) -> Exit:
    """Says in one line why a file cannot be used; returns the exit status."""
    print(f"hutong policy: {error}", file=sys.stderr)
    return Exit.USAGE
