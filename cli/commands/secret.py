"""`hutong secret add|use|rekey`: changes the mesh's secret, version by version."""

import argparse
import asyncio
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from services.common.errors import Text

if TYPE_CHECKING:
    from services.common.mesh_secret import MeshSecret

_DESCRIPTION = """\
更换互通网的密钥：先加一个版本，再让各库改用它，最后删去旧版本。步骤见 docs/runbook/changing-the-secret.md。
Changes the mesh's secret: a version is added, stores are brought to it, the old one is removed. The steps:
docs/runbook/changing-the-secret.md."""


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
    rekey = commands.add_parser("rekey", help="让停下的库改用当前版本 / bring a stopped store to the current version")
    rekey.add_argument("store", choices=("records", "lookup"), help="库的种类 / the kind of store")
    rekey.add_argument(
        "--store-url", required=True, metavar="URL", help="sqlite:///path, postgresql://user@host/database"
    )
    rekey.set_defaults(run=run_rekey)
    for command in (add, use, drop, rekey):
        command.add_argument("--file", type=Path, required=True, help="密钥文件 / the file of the secret")


def _changed(path: Path, change: "Callable[[MeshSecret], MeshSecret]") -> int:
    from services.common.mesh_secret import MeshSecretError, mesh_secret_text, parse_mesh_secret

    try:
        secret = change(parse_mesh_secret(path.read_text(encoding="utf-8")))
        _write(path, mesh_secret_text(secret))
    except (OSError, MeshSecretError) as error:
        complain(Text("密钥文件不能改", str(error)))
        return Exit.USAGE
    print(f"版本 / versions: {', '.join(map(str, sorted(secret.versions)))}; 当前 / current: {secret.current}")
    return Exit.OK


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def run_add(args: argparse.Namespace) -> int:
    """Adds a version, made at random."""
    from services.common.mesh_secret import MeshSecret

    def add(secret: MeshSecret) -> MeshSecret:
        new = max(secret.versions) + 1
        return MeshSecret(secret.root, {**secret.versions, new: secrets.token_hex(32).encode()}, secret.current)

    return _changed(args.file, add)


def run_use(args: argparse.Namespace) -> int:
    """Makes a version the current one."""
    return _changed(args.file, lambda secret: secret.with_current(args.version))


def run_drop(args: argparse.Namespace) -> int:
    """Removes a version that is not the current one."""
    from services.common.mesh_secret import MeshSecret, MeshSecretError

    def drop(secret: MeshSecret) -> MeshSecret:
        if args.version == secret.current:
            raise MeshSecretError(f"version {args.version} is the current one")
        rest = {number: value for number, value in secret.versions.items() if number != args.version}
        return MeshSecret(secret.root, rest, secret.current)

    return _changed(args.file, drop)


def run_rekey(args: argparse.Namespace) -> int:
    """Brings the keys of one store to the current version."""
    from services.common.mesh_secret import MeshSecretError, parse_mesh_secret
    from services.lookup.store.rekeying import REKEYING as LOOKUP
    from services.records.store.rekeying import REKEYING as RECORDS
    from services.runtime.settings.environment import SettingsError
    from services.runtime.storage.rekeying import rekey

    try:
        text = args.file.read_text(encoding="utf-8")
        secret = parse_mesh_secret(text)
        people = asyncio.run(rekey({"records": RECORDS, "lookup": LOOKUP}[args.store], args.store_url, text, secret))
    except (OSError, MeshSecretError, SettingsError) as error:
        complain(Text("不能改", str(error)))
        return Exit.USAGE
    except Exception as error:  # noqa: BLE001  # a database's own words are what an operator needs here
        complain(Text("库没有改动", f"nothing was changed: {type(error).__name__}: {error}"))
        return Exit.UNREACHABLE
    print(f"{people} 人已改用版本 {secret.current} / {people} people are under version {secret.current}")
    return Exit.OK
