"""Counts the calls over gRPC by how they end, and gives each answer in the view of its purpose."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar

from google.protobuf.message import Message

from gateway.application.purpose_views import narrowed
from gateway.metrics import REQUESTS
from services.common.errors import ServiceError
from services.runtime.rpc.call import current_call

Servicer = TypeVar("Servicer")
Request = TypeVar("Request")
Response = TypeVar("Response")
Method = Callable[[Servicer, Request], Awaitable[Response]]


def counted(method: Method[Servicer, Request, Response]) -> Method[Servicer, Request, Response]:
    """Counts a method's calls by how they end, and narrows their answers to what their purpose sees."""

    @wraps(method)
    async def called(self: Servicer, request: Request) -> Response:
        outcome = "CANCELLED"
        try:
            response = await method(self, request)
            purpose = current_call().purpose
            if purpose and isinstance(response, Message):
                narrowed(response, purpose)
            outcome = "OK"
        except ServiceError as error:
            outcome = error.code.name
            raise
        except Exception:
            outcome = "INTERNAL"
            raise
        finally:
            REQUESTS.add("grpc", method.__name__, outcome)
        return response

    return called
