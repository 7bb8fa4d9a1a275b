"""A server as a process of its own, whose calls go on until their callers leave: `python -m ... CONCURRENCY`.

It prints its two ports, gRPC and operations. A question for one record is answered at once.
"""

import asyncio
import sys

from hutong.records.v1.record_read_service_pb2 import ListRecordsRequest, ListRecordsResponse

from services.runtime.resilience.overload import Overload
from services.runtime.rpc.server import Server
from tests.testkit.fakes.servicer import Servicer, bindings


async def answer(request: ListRecordsRequest) -> ListRecordsResponse:
    """Answers a question for one record; others wait."""
    if request.page_size != 1:
        await asyncio.Event().wait()
    return ListRecordsResponse()


async def serving(concurrency: int) -> None:
    """Serves until it is killed."""
    server = Server(
        "records", bindings(Servicer(answer)), overload=Overload(concurrency), operations_listen="127.0.0.1:0"
    )
    port = await server.start("127.0.0.1:0")
    print(port, server.operations_port, flush=True)  # noqa: T201  # for the test that started it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serving(int(sys.argv[1])))
