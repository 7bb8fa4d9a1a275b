"""The service that a command talks to: its address, the name it must prove, and the certificate of whoever asks."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cli.certificates.development import TRUST, certificate_folder
from cli.exits import complain
from cli.mesh.endpoints import Endpoints, read_endpoints
from cli.mesh.plan import system_of
from services.common.errors import Text
from services.common.regions import NATION, divisions
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import Principal, principal, store_of
from services.runtime.tls.trust import TlsError

if TYPE_CHECKING:
    from services.runtime.rpc.channel import Channels


class Target(NamedTuple):
    """A service to call, and how. `files` is None where there are no certificates."""

    address: str
    peer: Principal
    files: TlsFiles | None

    def channels(self, caller: str) -> "Channels":
        """Returns channels to it, for a caller of this name."""
        from services.runtime.rpc.channel import Channels

        return Channels(caller, self.files)


def add_target(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """Adds the arguments that say which mesh is meant; `again`: where they may have been given before, to a parser of
    which this one is a part."""
    absent = argparse.SUPPRESS if again else None
    parser.add_argument(
        "--to",
        default=absent,
        metavar="HOST:PORT",
        help="所问服务的 gRPC 地址 / the gRPC address of the service that is asked",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=absent or Path(".hutong"),
        help="`hutong up` 的数据目录，由此得知地址 / data of the running `hutong up`, which names the address",
    )
    parser.add_argument(
        "--tls",
        type=Path,
        default=absent,
        metavar="FOLDER",
        help="与 --to 同用：证书目录 / with --to: a folder with tls.crt, tls.key and trust",
    )


def target_of(args: argparse.Namespace, region: str, caller: Principal) -> Target | None:
    """Returns the store that keeps a region's records, to be called as `caller`; None, after saying why, where there is
    none."""
    return _target_of(
        args, region, caller, store_of(region), lambda mesh: (mesh.records_for(region), mesh.store_for(region))
    )


def verdict_target_of(args: argparse.Namespace, region: str) -> Target | None:
    """Returns the service that gives verdicts, to be called as a region's system; None, after saying why, where there
    is none."""
    judge = principal("mesh/verdict")
    return _target_of(args, region, system_of(region), judge, lambda mesh: (mesh.verdict, judge))


def _target_of(
    args: argparse.Namespace,
    region: str,
    caller: Principal,
    named: Principal,
    where: Callable[[Endpoints], tuple[str, Principal]],
) -> Target | None:
    if region != NATION and region not in divisions():
        complain(Text(f"没有这个地区代码：{region}", f"There is no such region: {region}"))
        return None
    try:
        if args.to is not None:
            return Target(str(args.to), named, None if args.tls is None else certificate_of(args.tls))
        endpoints = read_endpoints(args.data)
        if endpoints is None:
            complain(
                Text(
                    f"{args.data} 中没有运行的互通网；请先 `hutong up`，或用 --to 指明地址",
                    f"No mesh is running from {args.data}; start `hutong up`, or name the address with --to",
                )
            )
            return None
        address, peer = where(endpoints)
        return Target(address, peer, files_of(endpoints, caller))
    except TlsError as error:
        complain(Text(f"证书不可用：{error}", f"the certificate cannot be used: {error}"))
        return None


def files_of(endpoints: Endpoints, caller: Principal) -> TlsFiles | None:
    """Returns the certificate of a caller of a mesh on this machine, None where the mesh has none. Raises TlsError."""
    if not endpoints.certificates:
        return None
    folder = Path(endpoints.certificates)
    return _files(certificate_folder(folder, caller), folder)


def certificate_of(folder: Path) -> TlsFiles:
    """Returns the certificate in a folder with tls.crt, tls.key and trust. Raises TlsError."""
    return _files(folder, folder)


def _files(own: Path, shared: Path) -> TlsFiles:
    return TlsFiles(own / "tls.crt", own / "tls.key", shared / TRUST)
