"""`hutong records move`: moves a records store to another database while it is served."""

import argparse
from functools import partial

from services.records.store.schemas import SCHEMAS
from services.runtime.storage.move import command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = command.DESCRIPTION
    command.add_arguments(parser, SCHEMAS)
    parser.set_defaults(run=partial(command.run, SCHEMAS))
