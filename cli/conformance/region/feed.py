"""Checks of a region's change feed: its order, its cursors, its watches and how they end."""

import asyncio

from hutong.records.v1.change_feed_service_pb2 import FeedCursor

from cli.conformance.calling import SECONDS, Refusal
from cli.conformance.region.revisions import name_of
from cli.conformance.region.under_test import (
    LIFE_SECONDS,
    PAGE,
    QUIET_SECONDS,
    SMALL_PAGE,
    RegionUnderTest,
    Skipped,
    unlike_error,
)

_ABANDONED = 40
"""Streams left at their deadline, one after another in groups."""


async def order(region: RegionUnderTest) -> list[str]:
    """Sequences grow, pages keep to their size, the cursor moves on."""
    wrong: list[str] = []
    last = cursor = 0
    for page in await region.pages(None, SMALL_PAGE):
        if len(page.changes) > SMALL_PAGE:
            wrong.append(f"a page of {len(page.changes)} changes where {SMALL_PAGE} were asked for")
        for change in page.changes:
            if change.sequence <= last:
                wrong.append(f"sequence {change.sequence} after {last}")
            last = max(last, change.sequence)
        if page.cursor.sequence < max(cursor, *(change.sequence for change in page.changes), 0):
            wrong.append(f"the cursor stands at {page.cursor.sequence}, behind what was given")
        cursor = page.cursor.sequence
    return wrong


async def complete(region: RegionUnderTest) -> list[str]:
    """Small pages, large pages and a watch give the same; no revision is missing between two."""
    whole = await region.whole()
    if not whole.changes:
        raise Skipped("the feed is empty: nothing can be compared")
    everything = {change.sequence for change in whole.changes}
    small = {change.sequence for page in await region.pages(None, SMALL_PAGE) for change in page.changes}
    messages = await region.watch(None, SECONDS, until=max(everything))
    watched = {change.sequence for message in messages for change in message.changes}
    wrong = [
        f"sequence {sequence}: not in {where}"
        for where, given in (("small pages", small), ("the watch", watched))
        for sequence in sorted(everything - given)
    ]
    newest: dict[tuple[str, str], int] = {}
    for record in sorted(whole.records(), key=lambda record: record.revision):
        before = newest.get((record.region, record.source_id), 0)
        if record.revision != before + 1:
            wrong.append(f"{name_of(record)}: the feed has no revision {before + 1}")
        newest[record.region, record.source_id] = record.revision
    return wrong


async def resume(region: RegionUnderTest) -> list[str]:
    """From any cursor the feed, and a watch, go on with what comes after it, and nothing else."""
    whole = await region.whole()
    pages = await region.pages(None, SMALL_PAGE)
    cursors = [page.cursor for page in pages][:: max(1, len(pages) // 3)]
    wrong: list[str] = []
    for cursor in cursors:
        after = {change.sequence for change in whole.changes if change.sequence > cursor.sequence}
        rest = {change.sequence for page in await region.pages(cursor, PAGE) for change in page.changes}
        seconds = SECONDS if after else QUIET_SECONDS
        messages = await region.watch(cursor, seconds, until=max(after) if after else None)
        watched = {change.sequence for message in messages for change in message.changes}
        for where, given in (("pages", rest), ("the watch", watched)):
            # What was committed meanwhile may be there too.
            wrong += [f"{where} after {cursor.sequence}: {one} is missing" for one in sorted(after - given)]
            wrong += [f"{where} after {cursor.sequence}: {one} again" for one in given if one <= cursor.sequence]
    return wrong


async def unknown_cursors(region: RegionUnderTest) -> list[str]:
    """A cursor that this feed never gave is refused, so that its follower reads again from the start."""
    whole = await region.whole()
    end = FeedCursor(feed_id=whole.cursor.feed_id, sequence=whole.cursor.sequence + 1_000_000)
    unknown = {"another feed": FeedCursor(feed_id="no-such-feed", sequence=1), "beyond the end": end}
    if whole.cursor.mark:
        marked = FeedCursor(feed_id=whole.cursor.feed_id, sequence=whole.cursor.sequence, mark=b"no-such-mark")
        unknown["another commit"] = marked
    wrong: list[str] = []
    for what, cursor in unknown.items():
        for method, asking in (
            ("ListChanges", region.page(cursor, PAGE)),
            ("WatchChanges", region.watch(cursor, QUIET_SECONDS)),
        ):
            if problem := await unlike_error(asking, "FAILED_PRECONDITION", "FEED_REBUILT"):
                wrong.append(f"{method}, a cursor of {what}: expected FAILED_PRECONDITION FEED_REBUILT, {problem}")
    return wrong


async def from_now(region: RegionUnderTest) -> list[str]:
    """Sequence -1 means: only what comes next."""
    whole = await region.whole()
    page = await region.page(FeedCursor(sequence=-1), PAGE)
    wrong = [f"got {len(page.changes)} changes of the past"] if page.changes else []
    if whole.complete and page.cursor.sequence < whole.cursor.sequence:
        wrong.append(f"the cursor stands at {page.cursor.sequence}, the feed's end is {whole.cursor.sequence}")
    return wrong


async def alive(region: RegionUnderTest) -> list[str]:
    """A watch is told something each second, and first what the store's clock says."""
    whole = await region.whole()
    messages = await region.watch(whole.cursor, LIFE_SECONDS)
    wrong = [] if len(messages) >= 2 else [f"{len(messages)} messages in {LIFE_SECONDS} s of a quiet feed"]
    if messages and not messages[0].HasField("told_at"):
        wrong.append("the first message has no told_at")
    return wrong


async def deadlines(region: RegionUnderTest) -> list[str]:
    """A stream that was left at its deadline is let go: the region answers as before."""
    whole = await region.whole()
    for _ in range(_ABANDONED // 10):
        await asyncio.gather(*(region.abandon(whole.cursor, 0.2) for _ in range(10)))
    try:
        await region.page(None, 1)
        messages = await region.watch(whole.cursor, LIFE_SECONDS, most=1)
    except Refusal as refused:
        return [f"after {_ABANDONED} streams that were left at their deadline: {refused}"]
    if not messages:
        return [f"no word on a new stream after {_ABANDONED} were left at their deadline"]
    return []


async def drained(region: RegionUnderTest) -> list[str]:
    """A drain ends a stream with UNAVAILABLE and DRAINING; OK would stop a follower for ever."""
    if region.drain is None:
        raise Skipped("--drain-pid says whom to send SIGTERM")
    whole = await region.whole()
    watching = asyncio.create_task(region.watch(whole.cursor, 30.0))
    await asyncio.wait({watching}, timeout=QUIET_SECONDS)
    if watching.done():
        problem = await unlike_error(watching, "", "")
        raise Skipped(f"the stream had ended before the drain: {problem}")
    await region.drain()
    problem = await unlike_error(watching, "UNAVAILABLE", "DRAINING")
    return [f"the stream of a drained region: expected UNAVAILABLE DRAINING, {problem}"] if problem else []
