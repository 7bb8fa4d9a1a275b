"""A hot standby of a test's PostgreSQL, fed by streaming replication."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import asyncpg

from bench.servers.home import Home
from bench.servers.postgres import PostgresServer, launch
from cli.mesh.ports import free_port

CAUGHT_UP_SECONDS = 20.0


def standby_of(primary: PostgresServer, *options: str) -> PostgresServer:
    """A standby with a copy of all that the primary has, following it. Not to be called on an event loop."""
    command = list(primary.command)
    data_at = command.index("-D") + 1
    *prefix, postgres = command[: data_at - 1]
    home = Home("hutong-pg-standby-")
    owner = Path(command[data_at]).stat()
    shutil.chown(home.path, owner.st_uid, owner.st_gid)
    backup = [str(Path(postgres).with_name("pg_basebackup")), "-D", str(home.path / "data"), "-d", primary.dsn()]
    subprocess.run(
        [*prefix, *backup, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"],
        check=True,
        capture_output=True,
        cwd="/",
    )
    command[data_at] = str(home.path / "data")
    port = free_port()
    command[command.index(f"port={primary.port}")] = f"port={port}"
    for option in options:
        command += ["-c", option]
    return launch(port, home, command)


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
