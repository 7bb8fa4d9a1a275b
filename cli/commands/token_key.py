"""`hutong token-key rotate|drop`: changes the key of the development issuer, without a stop."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from services.common.errors import Text

if TYPE_CHECKING:
    from gateway.identity.development import DevelopmentIssuer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the sub-commands."""
    parser.description = (
        "更换开发用令牌的签发密钥：换用后旧令牌仍有效，直到删去旧密钥。\n"
        "Changes the key of tokens for development: earlier tokens go on being believed until their keys are dropped."
        "\n\n退出状态 exit status: 0 已更换 changed; 2 命令有误 wrong command"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    rotate = commands.add_parser("rotate", help="换用新密钥，旧令牌仍有效 / sign with a new key, believe earlier ones")
    rotate.set_defaults(run=run_rotate)
    drop = commands.add_parser("drop", help="删去旧密钥，旧令牌随之失效 / believe the key that signs alone")
    drop.set_defaults(run=run_drop)
    for command in (rotate, drop):
        command.add_argument(
            "--data", type=Path, default=Path(".hutong"), help="数据目录 / data of `hutong up` (.hutong)"
        )


def run_rotate(args: argparse.Namespace) -> int:
    """Makes a key that signs from now on."""
    return _change(args.data, lambda issuer: f"{issuer.rotate()} 把密钥 / keys, 第一把签发 / the first signs")


def run_drop(args: argparse.Namespace) -> int:
    """Removes every key but the one that signs."""
    return _change(args.data, lambda issuer: f"删去 dropped: {issuer.drop() - 1}")


def _change(data: Path, change: "Callable[[DevelopmentIssuer], str]") -> int:
    from gateway.identity.development import KEY, DevelopmentIssuer

    folder = data / "development"
    if not (folder / KEY).is_file():
        complain(Text(f"{folder} 中没有签发密钥", f"There is no issuer's key in {folder}"))
        return Exit.USAGE
    try:
        print(change(DevelopmentIssuer(folder)))
    except (OSError, ValueError) as error:
        complain(Text(f"签发密钥不能更换：{error}", f"the issuer's key cannot be changed: {error}"))
        return Exit.USAGE
    return Exit.OK
