"""The program of a pod that is a province's own system, with the certificate that its province's authority gave it: it
hands tests to its own store and asks the nation's gateway for codes of people whom another province tested. The image
of a gateway runs it: it needs what is there alone, and is no part of the tree there.

Each second it prints one line of JSON, the counts since it began: `submitted`, `recognised`, `failed` by what was seen,
and `serials`, the certificates that it was shown, by server. As `system_pod.py try FOLDER...` it calls both once with
the certificate of each folder instead, and prints what came of each call."""

import asyncio
import json
import os
import socket
import ssl
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import grpc
from google.protobuf.json_format import ParseDict
from hutong.gateway.v1 import health_code_service_pb2 as gateway
from hutong.gateway.v1 import health_code_service_pb2_grpc as gateway_grpc
from hutong.records.v1 import record_write_service_pb2 as records
from hutong.records.v1 import record_write_service_pb2_grpc as records_grpc
from hutong.verdict.v1 import verdict_pb2

REGION = os.environ["SYSTEM_REGION"]
OTHER = os.environ["SYSTEM_OTHER"]
RUN = os.environ["SYSTEM_RUN"]
PAUSE_SECONDS = float(os.environ["SYSTEM_PAUSE_SECONDS"])
OWN = Path("/certificates/own")
NATION = Path("/certificates/nation/mesh.pem")
GATEWAY = ("gateway.hutong:7000", "gateway.mesh.hutong")
STORE = ("records:7000", f"records.{REGION}.region.hutong")
OTHERS_STORE = (f"records.hutong-{OTHER}:7000", f"records.{OTHER}.region.hutong")
ANSWER_SECONDS = 20.0
RECOGNISED = "STATUS_RECOGNISED"

submitted = recognised = 0
failed: Counter[str] = Counter()
serials: dict[str, list[str]] = {"gateway": [], "store": []}


def say(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def channel(server: tuple[str, str], root: Path, folder: Path) -> grpc.aio.Channel:
    """Opens a channel to a server that shows the name meant, of this authority."""
    files = (root, folder / "tls.key", folder / "tls.crt")
    credentials = grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))
    return grpc.aio.secure_channel(server[0], credentials, [("grpc.ssl_target_name_override", server[1])])


def person(region: str) -> dict[str, str]:
    """Returns whom a region's system tested."""
    return {"type": "DOCUMENT_TYPE_PASSPORT", "number": f"E{region[:2]}{RUN}"}


async def submit(server: tuple[str, str], root: Path, folder: Path) -> None:
    """Hands a test of the region's person to a store. Raises AioRpcError."""
    asked = {
        "purpose": "PURPOSE_RECORD_KEEPING",
        "request_id": str(uuid.uuid4()),
        "submission": {
            "region": REGION,
            "source_id": uuid.uuid4().hex.upper(),
            "subject": {"document": person(REGION)},
            "content": {
                "kind": "RECORD_KIND_RESULT",
                "result": "TEST_RESULT_NEGATIVE",
                "tube": "TUBE_SINGLE",
                "sampled_at": ago(7_200),
                "reported_at": ago(3_600),
                "laboratory": f"{REGION}-center",
                "site": f"{REGION[:4]}02",
                "channel": "CHANNEL_LABORATORY",
            },
        },
    }
    async with channel(server, root, folder) as opened:
        stub = records_grpc.RecordWriteServiceStub(opened)
        await stub.SubmitRecord(ParseDict(asked, records.SubmitRecordRequest()), timeout=ANSWER_SECONDS)


def ago(seconds: int) -> str:
    """Returns an instant as protobuf's JSON has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


async def ask(folder: Path) -> str:
    """Returns the status, in this region, of whom the other tested. Raises AioRpcError."""
    query = {"document": person(OTHER), "region": REGION, "refresh": True}
    asked = {"query": query, "purpose": "PURPOSE_REGIONAL_SERVICE"}
    async with channel(GATEWAY, NATION, folder) as opened:
        stub = gateway_grpc.HealthCodeServiceStub(opened)
        reply = await stub.ShowHealthCode(ParseDict(asked, gateway.ShowHealthCodeRequest()), timeout=ANSWER_SECONDS)
    status = verdict_pb2.Status.Name(reply.verdict.status)
    if status == RECOGNISED:
        return status
    return " ".join(f"{status} {list(reply.verdict.reasons)} {list(reply.verdict.coverage)}".split())


def shown(server: tuple[str, str], root: Path, folder: Path) -> str:
    """Returns the serial number of the certificate that a server shows. Raises OSError."""
    context = ssl.create_default_context(cafile=str(root))
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.set_alpn_protocols(["h2"])
    host, _, port = server[0].partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=server[1]) as wrapped,
    ):
        return str((wrapped.getpeercert() or {})["serialNumber"])


async def work() -> None:
    """Submits and asks, over a new connection each, until the pod is deleted."""
    global submitted, recognised
    while True:
        try:
            await submit(STORE, OWN / "ca.crt", OWN)
            submitted += 1
            status = await ask(OWN)
            if status == RECOGNISED:
                recognised += 1
            elif recognised:
                # Until the other's first test is there, nobody has one.
                failed[status] += 1
        except grpc.aio.AioRpcError as error:
            if recognised:
                failed[f"{error.code().name}: {error.details()}"] += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def look() -> None:
    """Notes the certificates that servers show."""
    while True:
        for name, server, root in (("gateway", GATEWAY, NATION), ("store", STORE, OWN / "ca.crt")):
            try:
                serial = await asyncio.to_thread(shown, server, root, OWN)
            except OSError as error:
                serial = f"none: {error}"
            if serial not in serials[name]:
                serials[name].append(serial)
        await asyncio.sleep(PAUSE_SECONDS)


async def main() -> None:
    """Works and tells."""
    tasks = [asyncio.create_task(work()), asyncio.create_task(look())]
    while True:
        counts = {"submitted": submitted, "recognised": recognised, "failed": dict(failed.most_common(5))}
        say(json.dumps(counts | {"serials": serials}))
        await asyncio.sleep(1)
        for task in tasks:
            if task.done():
                task.result()


async def tried(folders: list[str]) -> None:
    """Prints what comes of calls with other certificates, and of a call to another province's store."""
    for each in folders:
        folder = Path(each)
        for name, call in (
            ("gateway", ask(folder)),
            ("store", submit(STORE, OWN / "ca.crt", folder)),
            # Its authority is not ours to believe: even with the right root, we are nobody there.
            ("others-store", submit(OTHERS_STORE, OWN.parent / "other" / "ca.crt", folder)),
        ):
            try:
                say(f"{folder.name} {name}: {await call or 'STORED'}")
            except grpc.aio.AioRpcError as error:
                say(f"{folder.name} {name}: {error.code().name}")


if __name__ == "__main__":
    asyncio.run(tried(sys.argv[2:]) if sys.argv[1:2] == ["try"] else main())
