"""The body of a request, read within its bounds."""

from typing import NamedTuple

from gateway.http.asgi import Receive
from gateway.http.encodings import decoded, too_large
from gateway.http.problems import HttpError
from gateway.http.routing import JSON
from services.common.errors import Code, ServiceError, Text

MOST_BYTES = 1 << 20


class BodyHeaders(NamedTuple):
    """The headers of a request that describe its body; None where there is none."""

    content_type: bytes | None
    encoding: bytes | None
    length: bytes | None


async def read_body(receive: Receive, headers: BodyHeaders, *, changes: bool) -> bytes:
    """Reads a body of JSON of at most 1 MiB, also before it was compressed. One that `changes` something must say that
    it is JSON: any web page can send what does not. Raises HttpError and InvalidArgument."""
    content_type, encoding, length = headers
    if length is not None and len(length) > 6 and int(length) > MOST_BYTES:
        raise too_large()
    if content_type != JSON and (content_type is not None or changes):
        _check_type(content_type or b"")
    event = await receive()
    body: bytes = event.get("body", b"")
    if event.get("more_body"):
        pieces, size = [body], len(body)
        while event.get("more_body"):
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ServiceError(Code.CANCELLED, "CANCELLED", Text("连接已断开", "The connection is gone"))
            pieces.append(event.get("body", b""))
            size += len(pieces[-1])
            if size > MOST_BYTES:
                raise too_large()
        body = b"".join(pieces)
    if len(body) > MOST_BYTES:
        raise too_large()
    return body if encoding is None else decoded(body, encoding, MOST_BYTES)


def _check_type(content_type: bytes) -> None:
    name, *parameters = (part.strip().lower() for part in content_type.split(b";"))
    if name != JSON:
        text = Text("内容类型应为 application/json", "The content type is application/json")
        raise HttpError(415, "CONTENT_TYPE_UNSUPPORTED", text, ((b"accept", JSON),))
    for parameter in parameters:
        key, _, value = parameter.partition(b"=")
        if key == b"charset" and value.strip(b'"') not in (b"utf-8", b"utf8", b"us-ascii"):
            utf8 = Text("JSON 的字符编码是 UTF-8", "JSON is encoded in UTF-8")
            raise HttpError(415, "CHARSET_UNSUPPORTED", utf8, ((b"accept", JSON),))
