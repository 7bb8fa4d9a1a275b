"""`hutong supervision move`: moves the store of supervision to another database while gateways go on."""

import argparse
from functools import partial

from gateway.supervision.store.schemas import SCHEMAS
from services.runtime.storage.move import command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = command.DESCRIPTION
    command.add_arguments(parser, SCHEMAS)
    parser.set_defaults(run=partial(command.run, SCHEMAS))
