"""A primary that is one no more: its standby is promoted, and whoever wrote there writes on, at the first attempt."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from bench.servers.postgres import PostgresServer, start
from services.common.errors import ServiceError, Unavailable
from services.lookup.domain.holders import Link
from services.lookup.store.owner import Owner
from services.lookup.store.postgres.store import PostgresHolderStore
from services.records.store.postgres.store import PostgresStore
from services.records.store.values.records import LATEST
from tests.testkit.builders.records import person, result
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.postgres_standby import caught_up, standby_of
from tests.testkit.servers.proxy import Proxy
from tests.testkit.servers.records_service import Records
from tests.testkit.servers.server_certificate import sign_server

pytestmark = pytest.mark.postgres

WRITTEN = 240
"""The records that are written while a primary dies."""


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[PostgresServer, PostgresServer]]:
    """A primary and its standby, of their own: one of them changes sides."""
    primary = await asyncio.to_thread(start)
    try:
        standby = await asyncio.to_thread(standby_of, primary)
        try:
            yield primary, standby
        finally:
            standby.stop()
    finally:
        primary.stop()


async def execute(server: PostgresServer, statement: str) -> None:
    """Runs one statement as the database's administrator."""
    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def fail_over(primary: PostgresServer, standby: PostgresServer) -> None:
    """The standby becomes the primary. The former one takes no more writes, and keeps its connections."""
    await caught_up(primary, standby)
    await execute(primary, "alter system set default_transaction_read_only = on")
    await execute(primary, "select pg_reload_conf()")
    await execute(standby, "select pg_promote()")


def hosts(*servers: PostgresServer) -> str:
    """The URL of a database on any of these servers."""
    return f"postgresql://hutong@{','.join(f'127.0.0.1:{server.port}' for server in servers)}/postgres"


async def test_of_several_hosts_the_one_that_can_be_written_is_found():
    """With the standby named first, before and after it is promoted; a primary that is dead is passed over."""
    async with pair() as (primary, standby):
        store = PostgresStore(hosts(standby, primary), migrates=True)
        records = Records(store, ManualClock())
        await records.submit("TUBE-1", person(1), result())
        await fail_over(primary, standby)
        await records.submit("TUBE-2", person(1), result())
        assert 2 == len(await records.of(person(1)))
        await store.close()
        await asyncio.to_thread(primary.crash)
        store = PostgresStore(hosts(primary, standby))
        await Records(store, ManualClock()).submit("TUBE-3", person(1), result())
        assert 3 == len((await store.people([person(1)], LATEST)).records[person(1)])
        await store.close()


async def test_connections_to_a_demoted_primary_are_left_for_the_new_one_behind_the_name(measured):
    """Every one of them: here two are open, and each write is done at its first attempt. Lookup's as well."""
    async with pair() as (primary, standby), Proxy(f"127.0.0.1:{primary.port}") as name:
        url = f"postgresql://hutong@{name.address}/postgres"
        await execute(primary, "create database lookup")
        store = PostgresStore(url, migrates=True)
        holders = PostgresHolderStore(f"postgresql://hutong@{name.address}/lookup", Owner(bytes(8)), migrates=True)
        records = Records(store, ManualClock())
        await asyncio.gather(*(records.submit(f"TUBE-{n}", person(n), result()) for n in (1, 2)))
        await holders.commit(Link(person(1), person(2), "", ""), ManualClock())
        await fail_over(primary, standby)
        name.lead_to(f"127.0.0.1:{standby.port}")
        await asyncio.gather(*(records.submit(f"TUBE-{n}", person(n), result()) for n in (3, 4)))
        kept = (await store.head()).sequence
        measured.of().saw("writes, each at its first attempt", 4)
        measured.of().lose(4 - kept)
        assert 4 == kept
        # What goes on in pieces is not done again by itself: the caller's next attempt is.
        with pytest.raises(ServiceError):
            await holders.commit(Link(person(3), person(4), "", ""), ManualClock())
        await holders.commit(Link(person(3), person(4), "", ""), ManualClock())
        assert 2 == await holders.last()
        await holders.close()
        await store.close()


async def test_nothing_is_read_from_a_standby_as_if_it_were_the_primary():
    """It may lack what was acknowledged, and nobody would be told."""
    async with pair() as (primary, standby):
        store = PostgresStore(hosts(primary, standby), migrates=True)
        await Records(store, ManualClock()).submit("TUBE-1", person(1), result())
        await caught_up(primary, standby)
        await asyncio.to_thread(primary.crash)
        with pytest.raises(ServiceError) as refused:
            await store.people([person(1)], LATEST)
        assert "STORE_UNAVAILABLE" == refused.value.reason
        await store.close()
        replica = PostgresStore(hosts(primary, standby), is_replica=True)
        people = await replica.people([person(1)], LATEST)
        assert 1 == len(people.records[person(1)])
        assert people.as_of is not None
        await replica.close()


async def test_nothing_acknowledged_is_lost_when_the_primary_dies_under_load():
    """It is killed while four write, and its standby, which had each commit before that was acknowledged, is promoted.
    Who had no answer asks again: at the end each record is there once, and the feed has no gap."""
    async with pair() as (primary, standby):
        await execute(primary, "alter system set synchronous_standby_names = '*'")
        await execute(primary, "select pg_reload_conf()")
        store = PostgresStore(hosts(primary, standby), migrates=True, statement_seconds=10.0)
        records = Records(store, ManualClock())
        acknowledged: list[int] = []

        async def write(first: int) -> None:
            for number in range(first, WRITTEN, 4):
                async with asyncio.timeout(120):
                    while True:
                        try:
                            await records.submit(f"TUBE-{number}", person(number), result())
                        except Unavailable:
                            await asyncio.sleep(0.05)
                        else:
                            break
                acknowledged.append(number)

        async def fail() -> None:
            async with asyncio.timeout(120):
                while len(acknowledged) < WRITTEN // 3:
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(primary.crash)
            before = list(acknowledged)
            await execute(standby, "select pg_promote()")
            await execute(standby, "alter system reset synchronous_standby_names")
            await execute(standby, "select pg_reload_conf()")
            for number in before:
                assert 1 == len(await records.of(person(number)))

        await asyncio.gather(fail(), *(write(first) for first in range(4)))
        assert WRITTEN == (await store.head()).sequence == len(acknowledged)
        assert list(range(1, WRITTEN + 1)) == [row.sequence for row in await store.changes(0, WRITTEN + 1)]
        await store.close()


async def test_a_server_proves_itself_by_tls(tmp_path: Path):
    """With sslmode=verify-full: by an authority that is known, under the name that was asked for, or not at all."""
    await asyncio.to_thread(sign_server, tmp_path)
    names = {"ssl_cert_file": "server.pem", "ssl_key_file": "server.key"}
    # The server's user must own its key.
    server = await asyncio.to_thread(start)
    try:
        folder = server.home.path / "data"
        owner = folder.stat()
        for name, file in names.items():
            shutil.copy(tmp_path / file, folder / file)
            shutil.chown(folder / file, owner.st_uid, owner.st_gid)
            (folder / file).chmod(0o600)
            await execute(server, f"alter system set {name} = '{file}'")
        await execute(server, "alter system set ssl = on")
        await execute(server, "select pg_reload_conf()")
        for host, authority, proven in (
            ("127.0.0.1", "ca.pem", True),
            ("localhost", "ca.pem", False),
            ("127.0.0.1", "server.pem", False),
        ):
            url = f"postgresql://hutong@{host}:{server.port}/postgres?sslmode=verify-full&sslrootcert="
            store = PostgresStore(f"{url}{tmp_path / authority}", migrates=True)
            if proven:
                async with asyncio.timeout(60):
                    # The server takes its new settings when it hears of them.
                    while not await _is_encrypted(store):
                        await asyncio.sleep(0.05)
            else:
                with pytest.raises(ServiceError) as refused:
                    await store.ping()
                assert "STORE_UNAVAILABLE" == refused.value.reason
            await store.close()
    finally:
        server.stop()


async def _is_encrypted(store: PostgresStore) -> bool:
    """Tells if a store's connection is; False also while there is none."""
    try:
        query = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
        return bool(await store._connections.run(lambda connection: connection.fetchval(query)))
    except Unavailable:
        return False
