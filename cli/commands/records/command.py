"""`hutong records`: looks after a records store."""

import argparse

from cli.lazy_parser import Command, add_commands

COMMANDS = (
    Command("conflicts", "cli.commands.records.conflicts", "列出并处理冲突 / list and settle conflicts"),
    Command(
        "reconcile",
        "cli.commands.records.reconcile",
        "所跟随的各地区，及其新建的库 / the regions followed, and one whose store was made anew",
    ),
    Command("purge", "cli.commands.records.purge", "清除过期的记录 / delete records that are too old"),
    Command("move", "cli.commands.records.move", "把库迁到另一数据库 / move the store to another database"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the sub-commands."""
    add_commands(parser, COMMANDS)
