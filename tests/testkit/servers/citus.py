"""Databases of a Citus cluster that the environment names.

HUTONG_TEST_CITUS_URLS has the coordinator's URL, then the workers', separated by commas, each of a database that exists
and whose role may create others.

No package registry carries Citus, so no test starts it. Where the variable is not set, what needs a cluster is skipped.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from services.records.store.schemas import SCHEMAS
from services.runtime.storage.migration_command import migrate
from services.runtime.storage.postgres import statements

__all__ = ["CITUS", "citus_database", "citus_url", "coordinator_url", "needs_citus"]

CITUS: Sequence[str] = tuple(filter(None, os.environ.get("HUTONG_TEST_CITUS_URLS", "").split(",")))
"""The nodes' URLs; empty where there is no cluster."""

needs_citus = pytest.mark.skipif(not CITUS, reason="HUTONG_TEST_CITUS_URLS names no Citus cluster")
"""Skips a test where there is no cluster."""


_SHARDS = 8
"""Of each table: several for each worker, and no more to make for each test, or to move."""


@asynccontextmanager
async def citus_database(*, distributed: bool = True) -> AsyncIterator[str]:
    """A database on every node, with the extension and the nodes known to each other, and the tables of records, if
    they are to be `distributed`; yields its URL on the coordinator."""
    name = f"t{uuid4().hex}"
    nodes = [urlunsplit(urlsplit(url)._replace(path=f"/{name}")) for url in CITUS]
    for url in CITUS:
        await _run(url, f"create database {name}")
    try:
        async with _alone():
            for node in nodes:
                await _run(node, "create extension citus")
            coordinator, *workers = map(urlsplit, nodes)
            await _run(
                nodes[0],
                f"select citus_set_coordinator_host('{coordinator.hostname}', {coordinator.port})",
                *(f"select citus_add_node('{worker.hostname}', {worker.port})" for worker in workers),
            )
        if distributed:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(statements, "SHARDS", _SHARDS)
                await migrate(SCHEMAS, nodes[0], distribute=True)
        yield nodes[0]
    finally:
        # The coordinator first: its background work would hold the others'.
        for url in CITUS:
            await _drop(url, name)


@pytest.fixture
async def citus_url() -> AsyncIterator[str]:
    """The URL of a database of its own, distributed."""
    async with citus_database() as url:
        yield url


@pytest.fixture
async def coordinator_url() -> AsyncIterator[str]:
    """The URL of an empty database of its own on the coordinator."""
    async with citus_database(distributed=False) as url:
        yield url


@asynccontextmanager
async def _alone() -> AsyncIterator[None]:
    """Nodes that are added give each other the cluster's roles, which two databases must not do at once."""
    connection = await asyncpg.connect(CITUS[0])
    try:
        await connection.execute("select pg_advisory_lock(hashtext('hutong tests'))")
        yield
    finally:
        await connection.close()


async def _drop(url: str, name: str) -> None:
    for attempts_left in reversed(range(10)):
        try:
            await _run(url, f"drop database if exists {name} with (force)")
        except asyncpg.ObjectInUseError:
            # Who maintains it comes back.
            if not attempts_left:
                raise
            await asyncio.sleep(0.5)
        else:
            return


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
