"""A hot standby of a test's PostgreSQL, fed by streaming replication; both can be killed and started again."""

import asyncio
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import asyncpg

from cli.bench.servers.postgres import START_SECONDS, PostgresServer, free_port

CAUGHT_UP_SECONDS = 20.0


def standby_of(primary: PostgresServer, *options: str) -> PostgresServer:
    """A standby with a copy of all that the primary has, following it. Not to be called on an event loop."""
    command = [str(part) for part in primary.process.args]  # type: ignore[union-attr]  # a list, as it was started
    data_at = command.index("-D") + 1
    *prefix, postgres = command[: data_at - 1]
    home = Path(tempfile.mkdtemp(prefix="hutong-pg-standby-"))
    owner = Path(command[data_at]).stat()
    shutil.chown(home, owner.st_uid, owner.st_gid)
    backup = [str(Path(postgres).with_name("pg_basebackup")), "-D", str(home / "data"), "-d", primary.dsn()]
    subprocess.run(
        [*prefix, *backup, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"],
        check=True,
        capture_output=True,
        cwd="/",
    )
    command[data_at] = str(home / "data")
    port = free_port()
    command[command.index(f"port={primary.port}")] = f"port={port}"
    for option in options:
        command += ["-c", option]
    standby = PostgresServer(port, _launched(command, home), home)
    _wait(standby)
    return standby


def kill(server: PostgresServer) -> None:
    """Ends a server as a crash would; its data stay."""
    server.process.send_signal(signal.SIGQUIT)
    server.process.wait(20)


def start_again(server: PostgresServer) -> None:
    """Starts a server that was killed, where it was. Not to be called on an event loop."""
    server.process = _launched(server.process.args, server.home)
    _wait(server)


async def caught_up(primary: PostgresServer, standby: PostgresServer) -> None:
    """Returns when the standby has replayed all that the primary has written."""
    written = await _ask(primary, "select pg_current_wal_insert_lsn()::text")
    async with asyncio.timeout(CAUGHT_UP_SECONDS):
        while not await _ask(standby, f"select pg_last_wal_replay_lsn() >= '{written}'"):
            await asyncio.sleep(0.02)


async def pause_replay(standby: PostgresServer) -> None:
    """The standby goes on receiving and answering, and stands still: returns when it does."""
    await _ask(standby, "select pg_wal_replay_pause()::text")
    async with asyncio.timeout(CAUGHT_UP_SECONDS):
        while await _ask(standby, "select pg_get_wal_replay_pause_state()") != "paused":
            await asyncio.sleep(0.02)


async def resume_replay(standby: PostgresServer) -> None:
    """The standby goes on."""
    await _ask(standby, "select pg_wal_replay_resume()::text")


async def _ask(server: PostgresServer, query: str) -> object:
    connection = await asyncpg.connect(server.dsn())
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def _launched(command: object, home: Path) -> subprocess.Popen[bytes]:
    with (home / "log").open("ab") as log:
        return subprocess.Popen(command, cwd="/", stdout=log, stderr=log)  # type: ignore[call-overload,no-any-return]  # a list


def _wait(server: PostgresServer) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            asyncio.run(_ask(server, "select 1"))
            return
        except (OSError, asyncpg.PostgresError, TimeoutError):
            if server.process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.1)
