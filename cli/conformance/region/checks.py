"""Checks of a region that implements RecordReadService and ChangeFeedService itself: nothing is written.

Each check looks at one promise of the contracts, so that one fault fails one check.
"""

import time
from collections.abc import Awaitable, Callable

from hutong.common.v1.identity_pb2 import StoreIdentity, StoreKind
from hutong.records.v1.record_read_service_pb2 import ListLaboratoriesRequest, ListLaboratoriesResponse

from cli.conformance.calling import Refusal
from cli.conformance.outcomes import CaseOutcome
from cli.conformance.region import feed, reads
from cli.conformance.region.under_test import LIFE_SECONDS, NOBODY, SMALL_PAGE, RegionUnderTest, Skipped

VERSION = 1
"""The version of the checks; it changes with what they ask."""


async def _identity(region: RegionUnderTest) -> list[str]:
    """Every answer says whose it is."""
    whole = await region.whole()
    page = await region.page(None, 1)
    watched = await region.watch(None, LIFE_SECONDS, most=1)
    told: list[tuple[str, StoreIdentity]] = [("ListChanges", page.identity)]
    told += [("WatchChanges", message.identity) for message in watched[:1]]
    told.append(("BatchListRecords", (await region.batch([NOBODY])).identity))
    laboratories = await region.ask("RecordReadService", ListLaboratoriesRequest(), ListLaboratoriesResponse)
    told.append(("ListLaboratories", laboratories.identity))
    for record in whole.records()[:1]:
        told.append(("GetRecordHistory", (await region.history(record.region, record.source_id)).identity))
    wrong: list[str] = []
    for method, identity in told:
        if identity.kind != StoreKind.STORE_KIND_RECORDS or identity.region != region.region:
            wrong.append(f"{method}: is the records of {identity.region or 'nobody'}, not of {region.region}")
        if not identity.feed_id or identity.feed_id != page.cursor.feed_id:
            wrong.append(f"{method}: the identity's feed_id is not that of the cursor")
        if len(identity.secret_fingerprint) != 8:
            wrong.append(f"{method}: secret_fingerprint has {len(identity.secret_fingerprint)} bytes, not 8")
        elif identity.secret_fingerprint != told[0][1].secret_fingerprint:
            wrong.append(f"{method}: another secret_fingerprint than ListChanges")
    return wrong


async def _repeated(region: RegionUnderTest) -> list[str]:
    """The same question has the same answer."""
    whole = await region.whole()
    wrong: list[str] = []
    first, again = await region.page(None, SMALL_PAGE), await region.page(None, SMALL_PAGE)
    if (list(first.changes), first.cursor) != (list(again.changes), again.cursor):
        wrong.append("ListChanges: another answer to the same request")
    people = whole.people()
    if people and list((await region.batch(people)).people) != list((await region.batch(people)).people):
        wrong.append("BatchListRecords: another answer to the same request")
    for record in whole.records()[:5]:
        histories = [await region.history(record.region, record.source_id) for _ in range(2)]
        if list(histories[0].revisions) != list(histories[1].revisions):
            wrong.append(f"GetRecordHistory: another answer about {record.source_id}")
    return wrong


Check = Callable[[RegionUnderTest], Awaitable[list[str]]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("identity", _identity),
    ("feed-order", feed.order),
    ("feed-complete", feed.complete),
    ("feed-resume", feed.resume),
    ("repeated-reads", _repeated),
    ("cursor-unknown", feed.unknown_cursors),
    ("cursor-now", feed.from_now),
    ("watch-alive", feed.alive),
    ("reads-order", reads.order),
    ("reads-agree", reads.agreement),
    ("paging", reads.paging),
    ("history", reads.history),
    ("known-at", reads.known_at),
    ("selection", reads.selection),
    ("wrong-requests", reads.wrong_requests),
    ("deadlines", feed.deadlines),
    # The last: nobody is there afterwards.
    ("drained", feed.drained),
)


async def check_region(region: RegionUnderTest, tell: Callable[[CaseOutcome], None]) -> list[CaseOutcome]:
    """Makes every check; `tell` is given each outcome as it comes."""
    outcomes: list[CaseOutcome] = []
    for name, check in CHECKS:
        outcome = await _made(f"implements.{name}", check, region)
        outcomes.append(outcome)
        tell(outcome)
    return outcomes


async def _made(name: str, check: Check, region: RegionUnderTest) -> CaseOutcome:
    began = time.perf_counter()
    what = (check.__doc__ or "").strip()
    try:
        wrong = await check(region)
    except Skipped as skipped:
        return CaseOutcome(id=name, name=what, outcome="skipped", differences=[str(skipped)])
    except Refusal as refused:
        wrong = [f"got the error {refused}"]
    return CaseOutcome(
        id=name,
        name=what,
        outcome="failed" if wrong else "passed",
        differences=wrong[:20],
        seconds=round(time.perf_counter() - began, 3),
    )
