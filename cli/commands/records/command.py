"""`hutong records`: looks after a records store."""

import argparse

from cli.lazy_parser import Command, add_commands

COMMANDS = (
    Command("conflicts", "cli.commands.records.conflicts", "列出并处理冲突 / list and settle conflicts"),
    Command(
        "migrate",
        "cli.commands.records.migrate",
        "更新 PostgreSQL 的表结构 / bring the tables of PostgreSQL up to date",
    ),
    Command("purge", "cli.commands.records.purge", "清除过期的记录 / delete records that are too old"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the sub-commands."""
    add_commands(parser, COMMANDS)
