"""The program of a pod that keeps connections to a gateway's Service and asks for codes that are not cached. The image
of a gateway runs it: it needs Python alone, and is no part of the tree there.

Each second it prints one line of JSON, the counts since it began: `answers`, `failed` by what was seen, `lost`
(connections that ended without a word), `last` (answers that said that they were their connection's last)."""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from itertools import count

HOST, _, PORT = os.environ["LOAD_GATEWAY"].rpartition(":")
CONNECTIONS = int(os.environ["LOAD_CONNECTIONS"])
PAUSE_SECONDS = float(os.environ["LOAD_PAUSE_SECONDS"])
REGION = os.environ["LOAD_REGION"]
TOKEN = os.environ["LOAD_TOKEN"]
ANSWER_SECONDS = 30.0

answers = lost = last = 0
failed: Counter[str] = Counter()
numbers = count(random.randrange(10_000_000, 80_000_000))


async def connection() -> None:
    """One client: whenever its connection is said to be over, it opens another."""
    global lost
    while True:
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(HOST, int(PORT)), ANSWER_SECONDS)
        except (TimeoutError, OSError) as error:
            failed[f"not connected: {type(error).__name__}"] += 1
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        try:
            await asyncio.wait_for(_until_last(reader, writer), None)
        except (ConnectionError, asyncio.IncompleteReadError):
            lost += 1
        except TimeoutError:
            failed["no answer in 30 s"] += 1
        finally:
            writer.close()


async def _until_last(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global answers, last
    over = False
    while not over:
        document = {"type": "PASSPORT", "number": f"E{next(numbers)}"}
        body = json.dumps({"document": document, "region": REGION, "refresh": True}).encode()
        writer.write(
            (
                "POST /v1/healthCode:show HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
                f"authorization: Bearer {TOKEN}\r\nhutong-purpose: SUPERVISION\r\ncontent-length: {len(body)}\r\n\r\n"
            ).encode()
            + body
        )
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_SECONDS)).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        answer = await asyncio.wait_for(reader.readexactly(length), ANSWER_SECONDS)
        answers += 1
        if b" 200 " not in head.split(b"\r\n")[0]:
            problem = json.loads(answer)
            failed[f"{head[9:12].decode()} {problem.get('reason')}: {problem.get('detail')}"] += 1
        elif b"UNDETERMINED" in answer or b"STALE" in answer:
            code = json.loads(answer)
            coverage = [(one.get("region"), one.get("status"), one.get("reason")) for one in code.get("coverage", [])]
            failed[f"{code.get('status')} {code.get('freshness')} {coverage}"] += 1
        over = b"connection: close" in head
        last += over
        await asyncio.sleep(0 if over else PAUSE_SECONDS * random.uniform(0.5, 1.5))


async def main() -> None:
    """Asks until the pod is deleted."""
    clients = [asyncio.create_task(connection()) for _ in range(CONNECTIONS)]
    while True:
        counts = {"answers": answers, "failed": dict(failed.most_common(5)), "lost": lost, "last": last}
        sys.stdout.write(json.dumps(counts) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(1)
        for client in clients:
            if client.done():
                client.result()


asyncio.run(main())
