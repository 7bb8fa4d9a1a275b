"""`hutong secret add|use|drop`: changes the mesh's secret, version by version."""

import argparse
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from services.common.errors import Text

if TYPE_CHECKING:
    from services.common.mesh_secret import MeshSecret

_DESCRIPTION = """\
更换互通网的密钥：先加一个版本，再改用它，各库自行换用，最后删去旧版本，服务不停。
步骤见 docs/runbook/changing-the-secret.md。
Changes the mesh's secret: a version is added, then used, stores go over to it by themselves while they are served, the
old one is removed. The steps: docs/runbook/changing-the-secret.md."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.description = _DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="加一个新版本，暂不使用 / add a new version, which nothing is made under yet")
    add.set_defaults(run=run_add)
    use = commands.add_parser("use", help="改用某个版本 / make keys under a version")
    use.add_argument("version", type=int, help="版本号 / its number")
    use.set_defaults(run=run_use)
    drop = commands.add_parser("drop", help="删去旧版本 / remove an old version, which is then useless")
    drop.add_argument("version", type=int, help="版本号 / its number")
    drop.set_defaults(run=run_drop)
    for command in (add, use, drop):
        command.add_argument("--file", type=Path, required=True, help="密钥文件 / the file of the secret")


def _changed(path: Path, change: "Callable[[MeshSecret], MeshSecret]") -> int:
    from cli.private_file import replace_private
    from services.common.mesh_secret import MeshSecretError, mesh_secret_text, parse_mesh_secret

    try:
        secret = change(parse_mesh_secret(path.read_text(encoding="utf-8")))
        replace_private(path, mesh_secret_text(secret))
    except (OSError, MeshSecretError) as error:
        complain(Text("密钥文件不能改", str(error)))
        return Exit.USAGE
    print(f"版本 / versions: {', '.join(map(str, sorted(secret.versions)))}; 当前 / current: {secret.current}")
    return Exit.OK


def run_add(args: argparse.Namespace) -> int:
    """Adds a version, made at random."""
    from services.common.mesh_secret import MeshSecret

    def add(secret: MeshSecret) -> MeshSecret:
        new = max(secret.versions) + 1
        return MeshSecret(secret.root, {**secret.versions, new: secrets.token_hex(32).encode()}, secret.current)

    return _changed(args.file, add)


def run_use(args: argparse.Namespace) -> int:
    """Makes a version the current one. There is no way back to a lesser one: stores do not go there."""
    from services.common.mesh_secret import MeshSecret, MeshSecretError

    def use(secret: MeshSecret) -> MeshSecret:
        if args.version < secret.current:
            raise MeshSecretError(f"version {args.version} is before the current one; add another instead")
        return secret.with_current(args.version)

    return _changed(args.file, use)


def run_drop(args: argparse.Namespace) -> int:
    """Removes a version that is not the current one."""
    from services.common.mesh_secret import MeshSecret, MeshSecretError

    def drop(secret: MeshSecret) -> MeshSecret:
        if args.version == secret.current:
            raise MeshSecretError(f"version {args.version} is the current one")
        rest = {number: value for number, value in secret.versions.items() if number != args.version}
        return MeshSecret(secret.root, rest, secret.current)

    return _changed(args.file, drop)
