"""`hutong records purge`: deletes from a store what is too old."""

import argparse


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    from services.records import purge

    purging = commands.add_parser(
        "purge",
        help="清除过期的记录 / delete records that are too old",
        description=purge.DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    purge.add_arguments(purging)
    purging.set_defaults(run=purge.run)
