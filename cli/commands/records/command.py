"""`hutong records`: looks after a records store."""

import argparse

from cli.commands.records import conflicts, purge

COMMANDS = (conflicts.add_parser, purge.add_parser)
"""Each adds one sub-command."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `records` and its sub-commands to the command line."""
    records = subparsers.add_parser("records", help="照管记录库 / look after a records store")
    commands = records.add_subparsers(metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
