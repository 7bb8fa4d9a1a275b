"""`hutong up`: the whole mesh on this machine."""

import argparse
import asyncio
import os
import signal
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from services.common.errors import ServiceError, Text

if TYPE_CHECKING:
    from cli.mesh.plan import Plan
    from cli.mesh.running import RunningMesh
    from services.runtime.settings.environment import ServerSettings

_DESCRIPTION = """\
在本机运行整个互通网：国家库与各地区的记录库、查找、判定、网关，并装入样例人员和样例文件。
数据保存在 --data，再次启动时一切都还在。Ctrl-C 结束。

Runs the whole mesh on this machine: the nation's records and the regions', lookup, verdict, gateway, with sample people
and sample files. Data lies in --data; started again, it still knows everything. Ctrl-C ends it.

退出状态 exit status:
  0  正常结束 ended
  2  端口被占用、数据目录不可用等 a port is taken, the data directory cannot be used
  4  某个服务未能启动 a service did not start"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = _DESCRIPTION
    parser.add_argument(
        "--port",
        type=int,
        default=8080,
        help="HTTP 端口；gRPC 端口随后：网关 +1、判定 +2、查找 +3、国家库 +10、各地 +11 起；0 为任意空闲端口 / "
        "the HTTP port; gRPC: gateway +1, verdict +2, lookup +3, nation +10, regions from +11; 0: any free ones",
    )
    parser.add_argument("--data", type=Path, default=Path(".hutong"), help="数据目录 / where data lies")
    parser.add_argument(
        "--tls",
        action="store_true",
        help="以证书证明身份（gRPC 端口只接受有证书的调用方），HTTP 须出示令牌 / "
        "names are proven: by certificates on every gRPC port, by tokens over HTTP",
    )
    parser.add_argument("--mesh", action="store_true", help="每个服务一个进程 / a process for each service")
    parser.add_argument(
        "--policies", type=Path, help="规则目录，缺省为自带规则 / policies instead of those that come with it"
    )
    parser.add_argument(
        "--redis", default="", metavar="URL", help="共享缓存，缺省在内存中 / the cache, in memory by default"
    )
    parser.add_argument("--no-limits", action="store_true", help="不设限额，如压测时 / no limits, as for a benchmark")
    parser.add_argument("--no-audit", action="store_true", help="不写审计日志 / keep no audit trail")
    parser.add_argument("--no-samples", action="store_true", help="不装入样例 / load no sample people and files")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the mesh to its end; returns the exit status."""
    import uvloop

    from cli.mesh.certificates import write_mesh_certificates
    from cli.mesh.data import DataDirectoryError, locked, mesh_secret
    from cli.mesh.plan import MOST_PORT, Plan, ports_from
    from cli.mesh.ports import first_taken, free_ports
    from cli.samples.start import write_people
    from services.runtime.limits.rules import NO_LIMITS
    from services.runtime.settings.environment import ServerSettings, SettingsError, load

    try:
        telemetry = load(ServerSettings, os.environ)
    except SettingsError as error:
        complain(Text(f"环境变量有误：{error}", f"the environment is wrong: {error}"))
        return Exit.USAGE
    if not 0 <= args.port <= MOST_PORT:
        complain(Text(f"端口应在 0 至 {MOST_PORT} 之间", f"The port lies between 0 and {MOST_PORT}"))
        return Exit.USAGE
    if args.policies is not None and not _usable(args.policies):
        return Exit.USAGE
    try:
        with locked(args.data) as lock:
            ports = ports_from(args.port) if args.port else free_ports()
            taken = first_taken(ports)
            if taken is not None:
                name, port = taken
                complain(
                    Text(
                        f"端口 {port}（{name}）已被占用，用 --port 换一个",
                        f"Port {port} ({name}) is taken; choose another with --port",
                    )
                )
                return Exit.USAGE
            people = None
            if not args.no_samples:
                people = args.data / "sample-people.json"
                write_people(people)
            certificates = write_mesh_certificates(args.data) if args.tls else None
            plan = Plan(
                args.data,
                mesh_secret(args.data),
                ports,
                args.policies,
                args.redis,
                people,
                certificates=certificates,
                audits=not args.no_audit,
                limits={NO_LIMITS: "true"} if args.no_limits else telemetry.limits,
            )
            return uvloop.run(_run(args, plan, telemetry, lock))
    except DataDirectoryError as error:
        complain(error.text)
        return Exit.USAGE
    except SettingsError as error:
        complain(Text(f"不能启动：{error}", f"cannot start: {error}"))
        return Exit.USAGE


def _usable(policies: Path) -> bool:
    from services.verdict.policy.files import load_directory
    from services.verdict.policy.yaml_document import PolicyFileError

    if not policies.is_dir():
        complain(Text(f"没有这个目录：{policies}", f"There is no such directory: {policies}"))
        return False
    try:
        load_directory(policies)
    except (PolicyFileError, OSError, ValueError) as error:
        complain(Text(f"规则不可用：{error}", f"the policies cannot be used: {error}"))
        return False
    return True


async def _run(args: argparse.Namespace, plan: "Plan", telemetry: "ServerSettings", lock: int) -> Exit:
    from cli.mesh.child import ChildFailedError
    from cli.mesh.endpoints import remove_endpoints, write_endpoints
    from cli.mesh.logs import configure_terminal_logs
    from services.runtime.process import configure_process
    from services.runtime.telemetry.trace import tracing

    began = perf_counter()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if not args.mesh:
        # Processes of their own send their spans and numbers themselves.
        configure_process(telemetry)
    log = configure_terminal_logs(args.data)
    mesh = _mesh(plan, lock, processes=args.mesh)
    starting = asyncio.create_task(_start(mesh, args, began))
    stopping = asyncio.create_task(stop.wait())
    status = Exit.OK
    try:
        write_endpoints(mesh.endpoints, args.data)
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            # Raises what went wrong.
            starting.result()
            await stopping
    except (OSError, ChildFailedError) as error:
        complain(Text(f"未能启动：{error}", f"could not start: {error}"))
        status = Exit.UNREACHABLE
    except ServiceError as error:
        complain(
            Text(f"样例未能装入：{error.text.zh}；见 {log}", f"samples could not be loaded: {error.text.en}; see {log}")
        )
        status = Exit.UNREACHABLE
    finally:
        starting.cancel()
        stopping.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        await mesh.stop_all()
        remove_endpoints(args.data)
        tracing.flush()
    if status is Exit.OK:
        print("互通已结束，数据已保存 / hutong has ended; its data is kept", flush=True)
    return status


def _mesh(plan: "Plan", lock: int, *, processes: bool) -> "RunningMesh":
    if processes:
        from cli.mesh.per_process import ProcessMesh

        return ProcessMesh(plan, lock)
    from cli.mesh.in_process import EmbeddedMesh

    return EmbeddedMesh(plan)


async def _start(mesh: "RunningMesh", args: argparse.Namespace, began: float) -> None:
    from cli.mesh.client import MeshClient
    from cli.mesh.per_process import ProcessMesh
    from cli.mesh.welcome import own_command, welcome
    from cli.samples.showing import show_people
    from cli.samples.start import load_samples
    from services.runtime.clock import system_clock

    await mesh.start_all()
    if not args.no_samples:
        async with MeshClient(mesh.endpoints, "hutong-up") as client:
            await load_samples(client, system_clock)
        await asyncio.to_thread(show_people, mesh.endpoints.http)
    seconds = perf_counter() - began
    print(welcome(mesh.endpoints, args.data, seconds, own_command(), samples=not args.no_samples), flush=True)
    if isinstance(mesh, ProcessMesh):
        mesh.supervise(_died)


def _died(name: str, status: int, restarting: bool) -> None:
    next_zh, next_en = ("正在重启", "starting it again") if restarting else ("不再重启", "leaving it")
    complain(
        Text(
            f"{name} 意外结束（{status}），{next_zh}；见 logs/{name}.log",
            f"{name} ended unexpectedly ({status}), {next_en}; see logs/{name}.log",
        )
    )
