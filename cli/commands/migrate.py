"""`hutong migrate`: makes a store, or brings its tables up to date."""

import argparse
from functools import partial


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `migrate` and the kinds of store to the command line."""
    from services.lookup.store.schemas import SCHEMAS as LOOKUP
    from services.records.store.schemas import SCHEMAS as RECORDS
    from services.runtime.storage import migration_command

    migrate = subparsers.add_parser(
        "migrate",
        help="建库或更新表结构 / make a store, or bring its tables up to date",
        description="在服务启动前建库，或把表结构更新到本程序所需。\n"
        "Makes a store, or brings its tables up to date, before its service starts.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stores = migrate.add_subparsers(metavar="STORE", required=True)
    for schemas, text in ((RECORDS, "记录库 / a store of records"), (LOOKUP, "关联信息库 / lookup's store")):
        parser = stores.add_parser(schemas.store, help=text)
        migration_command.add_arguments(parser)
        parser.set_defaults(run=partial(migration_command.run, schemas))
