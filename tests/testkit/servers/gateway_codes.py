"""A gateway's codes, asked in this process."""

import asyncio
from secrets import token_bytes

from hutong.common.v1.subject_pb2 import Document, DocumentType
from hutong.gateway.v1.health_code_service_pb2 import (
    ClaimResultRequest,
)

from gateway.application.application import Application
from gateway.codes.cache.memory import MemoryCache
from gateway.codes.query import CodeQuery
from gateway.metrics import Outcome
from tests.testkit.builders.records import SHOW
from tests.testkit.fakes.mesh import NUMBER, PERSON, Mesh

BEIJING = CodeQuery(PERSON, "110000")


async def outcome(application: Application, question: CodeQuery = BEIJING) -> Outcome:
    """Returns what the cache had to do with the answer."""
    return (await application.show(question, SHOW)).outcome


def document() -> Document:
    """Returns the document of the person."""
    return Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number=NUMBER)


def claim() -> ClaimResultRequest:
    """Returns the claim of the person's result for Beijing."""
    return ClaimResultRequest(document=document(), region="110000")


async def told(cache: MemoryCache, mesh: Mesh) -> None:
    """Waits until the nation's news have reached the cache."""
    async with asyncio.timeout(30):
        while await cache.cursor("nation") != f"{mesh.feed_id}/{len(mesh.changes)}/":
            await asyncio.sleep(0.01)


async def until_shown(application: Application, *, status: int, question: CodeQuery = BEIJING) -> None:
    """Waits until a code has this status."""
    async with asyncio.timeout(30):
        while (await application.show(question, SHOW)).entry.status != status:
            await asyncio.sleep(0.02)


async def heard(application: Application, mesh: Mesh) -> None:
    """Waits until the feeds have spoken by the new time."""
    async with asyncio.timeout(30):
        while await outcome(application, CodeQuery(token_bytes(16), "110000")) == Outcome.BYPASS:
            await asyncio.sleep(0.02)
