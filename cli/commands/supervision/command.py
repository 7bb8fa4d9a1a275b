"""`hutong supervision`: how recognition is carried out, and what of it is published."""

import argparse

from cli.lazy_parser import Command, add_commands

COMMANDS = (
    Command("export", "cli.commands.supervision.export", "导出公开数据及其说明 / export open data and its dictionary"),
    Command("move", "cli.commands.supervision.move", "把库迁到另一数据库 / move the store to another database"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the sub-commands."""
    add_commands(parser, COMMANDS)
