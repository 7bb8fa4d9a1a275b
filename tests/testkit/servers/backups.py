"""Stores that are backed up while they are written, lost, and restored: as k8s/components/backup and restore, and
docs/runbook/restoring-a-region.md, do it."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import asyncpg

from bench.servers.home import Home
from bench.servers.postgres import PostgresServer, launch, start
from cli.mesh.ports import free_port
from gateway.push.store.schemas import SCHEMAS as PUSH
from gateway.supervision.store.schemas import SCHEMAS as SUPERVISION
from services.lookup.store.schemas import SCHEMAS as LOOKUP
from services.records.store.schemas import SCHEMAS as RECORDS
from tests.testkit.tools import ROOT

PROMOTE_SECONDS = 60.0
"""How long a restored server may take to come to the end of its archive."""


class BackedUp(Protocol):
    """A store that can be backed up and lost."""

    @property
    def url(self) -> str:
        """Returns where the store is."""

    async def back_up(self) -> None:
        """Backs it up, whoever writes to it meanwhile."""

    async def restore(self) -> str:
        """The store is gone for good, and another is made of the backup: returns that one's URL."""


COMMANDS = {kind.store: kind for kind in (RECORDS, LOOKUP, SUPERVISION, PUSH)}
"""The kinds of store by name: where the command that backs one up is, and which variable names it."""


class SqliteBackedUp:
    """A file, copied by the command of the service's image."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._file = folder / f"{kind}-lost.db"
        self._backup = folder / f"{kind}.backup"
        self._kind = kind
        self.url = f"sqlite:///{self._file}"

    async def back_up(self) -> None:
        """Runs `python -m services.KIND.backup`, or where else that command is."""
        kind = COMMANDS[self._kind]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"{kind.commands}.backup", str(self._backup)),
            env={**os.environ, kind.setting: self.url},
            cwd=ROOT,
        )
        assert await process.wait() == 0

    async def restore(self) -> str:
        """Puts the backup in another place."""
        for path in self._file.parent.glob(f"{self._file.name}*"):
            path.unlink()
        restored = self._file.with_name(f"{self._kind}-restored.db")
        shutil.copy(self._backup, restored)
        return f"sqlite:///{restored}"


class PostgresBackedUp:
    """A server that archives its log as it goes, of which a base backup is made: what CloudNativePG's `backup` and
    `bootstrap.recovery` stand for, with folders in the place of the object store."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._archive = home.path / "archive"
        # The home ends a PostgreSQL that runs there.
        self._base = home.path / "data"
        self._archive.mkdir()
        home.path.chmod(0o755)
        self._server = start(
            "archive_mode=on",
            f"archive_command=test ! -f {self._archive}/%f && cp %p {self._archive}/%f",
            durable=True,
        )
        owner = self._data().stat()
        for folder in (home.path, self._archive):
            os.chown(folder, owner.st_uid, owner.st_gid)
        self._restored: PostgresServer | None = None
        self.url = self._server.dsn()

    def _data(self) -> Path:
        return Path(self._server.command[self._server.command.index("-D") + 1])

    async def back_up(self) -> None:
        """Makes a base backup, whose log is in the archive."""
        await asyncio.to_thread(self._back_up)

    def _back_up(self) -> None:
        *prefix, postgres = self._server.command[: self._server.command.index("-D")]
        command = [str(Path(postgres).with_name("pg_basebackup")), "-D", str(self._base), "-d", self.url]
        subprocess.run([*prefix, *command, "--wal-method=none", "--checkpoint=fast"], check=True, cwd="/")

    async def restore(self) -> str:
        """The machine dies with what it had not archived; another server recovers to the end of the archive."""
        await asyncio.to_thread(self._restore)
        connection = await asyncpg.connect(self.url)
        try:
            async with asyncio.timeout(PROMOTE_SECONDS):
                while await connection.fetchval("select pg_is_in_recovery()"):
                    await asyncio.sleep(0.05)
        finally:
            await connection.close()
        return self.url

    def _restore(self) -> None:
        self._server.crash()
        (self._base / "recovery.signal").touch()
        owner = self._base.stat()
        os.chown(self._base / "recovery.signal", owner.st_uid, owner.st_gid)
        command = list(self._server.command)
        command[command.index("-D") + 1] = str(self._base)
        port = free_port()
        command[command.index(f"port={self._server.port}")] = f"port={port}"
        command += ["-c", f"restore_command=cp {self._archive}/%f %p", "-c", "recovery_target_action=promote"]
        self._restored = launch(port, self._home, command)
        self.url = self._restored.dsn()

    def stop(self) -> None:
        """Ends what runs and removes everything."""
        if self._restored is not None:
            self._restored.stop()
        if self._server.process.poll() is None:
            self._server.stop()
        else:
            self._server.home.remove()
        self._home.remove()


@asynccontextmanager
async def backed_up(engine: str, folder: Path, kind: str) -> AsyncIterator[BackedUp]:
    """An empty store's place in an engine, `sqlite` or `postgres`, for a service of this kind."""
    if engine == "sqlite":
        yield SqliteBackedUp(folder, kind)
        return
    store = await asyncio.to_thread(PostgresBackedUp, Home("hutong-pg-backup-"))
    try:
        yield store
    finally:
        await asyncio.to_thread(store.stop)
