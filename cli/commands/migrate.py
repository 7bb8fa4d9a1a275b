"""`hutong migrate`: makes a store, or brings its tables up to date."""

import argparse
from functools import partial

from gateway.push.store.schemas import SCHEMAS as PUSH
from gateway.supervision.store.schemas import SCHEMAS as SUPERVISION
from services.lookup.store.schemas import SCHEMAS as LOOKUP
from services.records.store.schemas import SCHEMAS as RECORDS
from services.runtime.storage import migration_command

_STORES = (
    (RECORDS, "记录库 / a store of records"),
    (LOOKUP, "关联信息库 / lookup's store"),
    (SUPERVISION, "监督统计库 / the store of supervision"),
    (PUSH, "提醒订阅库 / the store of push subscriptions"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command, with a sub-command for each kind of store."""
    parser.description = """\
在服务启动前建库，或把表结构更新到本程序所需。
Makes a store, or brings its tables up to date, before its service starts."""
    stores = parser.add_subparsers(metavar="STORE", required=True, title="库 stores")
    for schemas, text in _STORES:
        command = stores.add_parser(schemas.store, help=text)
        migration_command.add_arguments(command, schemas)
        command.set_defaults(run=partial(migration_command.run, schemas))
