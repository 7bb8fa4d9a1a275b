"""`python -m bench.servers.bare_grpc`: the least a gRPC server here can do, as a yardstick. grpc.aio on uvloop with
one method, that takes nothing and gives nothing. Prints its address."""

from typing import Any

import grpc
import uvloop

METHOD = "/hutong.bench.Yardstick/Empty"


async def _empty(request: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
    return b""


async def _main() -> None:
    server = grpc.aio.server()
    _, service, method = METHOD.split("/")
    handler: Any = grpc.unary_unary_rpc_method_handler(_empty)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_main())
