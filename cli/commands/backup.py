"""`hutong backup`: copies a store's SQLite file, or an audit trail, while its service goes on."""

import argparse
from functools import partial
from pathlib import Path

from cli.exits import Exit, complain
from gateway.push.store.schemas import SCHEMAS as PUSH
from gateway.supervision.store.schemas import SCHEMAS as SUPERVISION
from services.common.errors import Text
from services.lookup.store.schemas import SCHEMAS as LOOKUP
from services.records.store.schemas import SCHEMAS as RECORDS
from services.runtime.storage import backup_command

_STORES = (
    (RECORDS, "记录库 / a store of records"),
    (LOOKUP, "关联信息库 / lookup's store"),
    (SUPERVISION, "监督统计库 / the store of supervision"),
    (PUSH, "提醒订阅库 / the store of push subscriptions"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command, with a sub-command for each kind of store and one for audit trails."""
    parser.description = """\
在服务运行时备份：SQLite 库的一个完整副本，或审计日志至其最近检查点的副本。恢复见 docs/runbook/restoring-a-region.md。
Backs up beside the running service: a whole copy of a store's SQLite file, or of an audit trail up to its latest
checkpoint. How to restore: docs/runbook/restoring-a-region.md.

退出状态 exit status:
  0  已备份 done
  2  命令有误 wrong command
  3  日志被改动 the trail was changed
  4  无法备份 it cannot be done"""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    kinds = parser.add_subparsers(metavar="KIND", required=True, title="何物 what")
    for schemas, text in _STORES:
        command = kinds.add_parser(schemas.store, help=text)
        backup_command.add_arguments(command, schemas)
        command.set_defaults(run=partial(backup_command.run, schemas))
    trail = kinds.add_parser("audit", help="审计日志 / an audit trail")
    trail.add_argument("folder", type=Path, metavar="FOLDER", help="日志目录 / the trail's folder")
    trail.add_argument(
        "backup", type=Path, metavar="BACKUP", help="备份目录；已有的段不再复制 / the backup's folder, which may grow"
    )
    trail.set_defaults(run=run_trail)


def run_trail(args: argparse.Namespace) -> int:
    """Copies a trail and says how many lines the copy proves."""
    from services.runtime.audit.copying import copy_trail
    from services.runtime.audit.note import NoteError
    from services.runtime.audit.segments import AuditError

    try:
        verified = copy_trail(args.folder, args.backup)
    except (AuditError, NoteError) as error:
        complain(Text(f"日志有问题：{error}", f"the trail is not what it should be: {error}"))
        return Exit.ROWS_REFUSED
    except OSError as error:
        complain(Text(f"无法备份：{error}", f"it cannot be backed up: {error}"))
        return Exit.UNREACHABLE
    print(f"已备份 / backed up: {args.backup}, {verified.lines} 行 lines")
    return Exit.OK
