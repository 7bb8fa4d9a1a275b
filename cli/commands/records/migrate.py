"""`hutong records migrate`: brings the tables of a PostgreSQL store up to date."""

import argparse

from services.records import migrate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    migrate.add_arguments(parser)
    parser.set_defaults(run=migrate.run)
