"""`hutong lookup`: looks after lookup's store."""

import argparse

from cli.lazy_parser import Command, add_commands

COMMANDS = (Command("move", "cli.commands.lookup.move", "把库迁到另一数据库 / move the store to another database"),)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the sub-commands."""
    add_commands(parser, COMMANDS)
