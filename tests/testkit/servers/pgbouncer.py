"""A real pgbouncer before a test's PostgreSQL. Where none is installed the tests are skipped, and fail when CI=true."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from bench.servers.postgres import USER, PostgresServer
from cli.mesh.ports import free_port
from tests.testkit.needs import missing

START_SECONDS = 30.0


@contextmanager
def pooling(server: PostgresServer, mode: str, connections: int) -> Iterator[int]:
    """Runs a pooler in a mode, with so many connections to each database; yields its port. Not to be called on an event
    loop."""
    executable = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if executable is None:
        missing("pgbouncer, Debian's package of that name")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "users").write_text(f'"{USER}" ""\n')
        (folder / "ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {folder}/users\n"
            f"pool_mode = {mode}\ndefault_pool_size = {connections}\nmax_client_conn = 200\n"
        )
        # As the server's user: it refuses root as well.
        prefix = server.command[: server.command.index("-D") - 1]
        process = subprocess.Popen(
            [*prefix, executable, "-q", str(folder / "ini")],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            asyncio.run(_answers(port))
            yield port
        finally:
            process.kill()
            process.wait()


async def _answers(port: int) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                connection = await asyncpg.connect(f"postgresql://{USER}@127.0.0.1:{port}/postgres")
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.05)
            else:
                await connection.close()
                return
