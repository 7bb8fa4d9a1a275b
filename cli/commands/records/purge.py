"""`hutong records purge`: deletes from a store what is too old."""

import argparse

from services.records import purge


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = purge.DESCRIPTION
    purge.add_arguments(parser)
    parser.set_defaults(run=purge.run)
