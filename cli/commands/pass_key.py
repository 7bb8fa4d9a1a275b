"""`hutong pass-key add|use|drop|list`: changes the key that signs passes, with the next one published beforehand."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from services.common.errors import Text

if TYPE_CHECKING:
    from gateway.passes.keys import PassKeys

_DESCRIPTION = """\
更换通行码密钥：先加下一把并公布，各闸机取得后再启用，旧的通行码到期后删去旧密钥。
步骤见 docs/runbook/changing-pass-keys.md。
Changes the key of passes: the next one is added and published, used once gates have it, and the last one dropped
once its passes have ended. The steps: docs/runbook/changing-pass-keys.md."""
_NAME_LETTERS = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.description = _DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser(
        "add", help="加下一把（只公布），或第一把 / add the next key, published alone, or the first"
    )
    add.set_defaults(run=run_add)
    use = commands.add_parser("use", help="改用某把密钥 / let a key sign")
    use.set_defaults(run=run_use)
    drop = commands.add_parser("drop", help="删去不再签发的密钥 / remove a key that signs no more")
    drop.set_defaults(run=run_drop)
    shown = commands.add_parser("list", help="列出密钥 / list the keys")
    shown.set_defaults(run=run_list)
    for command in (use, drop):
        command.add_argument("key", help="名称（见 list） / its name, as list shows it")
    for command in (add, use, drop, shown):
        command.add_argument("--file", type=Path, required=True, help="密钥文件 / their file (HUTONG_PASS_KEY)")


def _name(key: "PassKeys") -> str:
    from hashlib import sha256

    return sha256(key.root.public_bytes).hexdigest()[:_NAME_LETTERS]


def _changed(path: Path, change: "Callable[[list[PassKeys]], Sequence[PassKeys]]", *, first: bool = False) -> int:
    from cli.private_file import replace_private
    from gateway.passes.keys import read_pass_keys

    try:
        before = [] if first and not path.exists() else list(read_pass_keys(path))
        keys = change(before)
        if list(keys) != before:
            replace_private(path, "".join(key.root.pem.decode() for key in keys))
    except (OSError, ValueError) as error:
        complain(Text("密钥文件不能改", str(error)))
        return Exit.USAGE
    for place, key in enumerate(keys):
        print(f"{_name(key)}\t{'签发 / signs' if place == 0 else '公布 / published'}")
    return Exit.OK


def _named(keys: "Sequence[PassKeys]", name: str) -> "PassKeys":
    """Returns a key by its name. Raises ValueError."""
    for key in keys:
        if _name(key) == name:
            return key
    raise ValueError(f"there is no key {name}; there are {', '.join(map(_name, keys))}")


def run_add(args: argparse.Namespace) -> int:
    """Adds a key, made at random; the first one, where there is no file, makes the file and signs."""
    from gateway.passes.keys import new_pass_keys

    return _changed(args.file, lambda keys: [*keys, new_pass_keys()], first=True)


def run_use(args: argparse.Namespace) -> int:
    """Lets a key sign; the others stay published."""

    def use(keys: "list[PassKeys]") -> "Sequence[PassKeys]":
        used = _named(keys, args.key)
        return [used, *(key for key in keys if key is not used)]

    return _changed(args.file, use)


def run_drop(args: argparse.Namespace) -> int:
    """Removes a key that does not sign."""

    def drop(keys: "list[PassKeys]") -> "Sequence[PassKeys]":
        dropped = _named(keys, args.key)
        if dropped is keys[0]:
            raise ValueError(f"{args.key} signs: use another one first")
        return [key for key in keys if key is not dropped]

    return _changed(args.file, drop)


def run_list(args: argparse.Namespace) -> int:
    """Lists the keys, the one that signs first."""
    return _changed(args.file, lambda keys: keys)
