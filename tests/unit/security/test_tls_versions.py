"""A client that offers less than TLS 1.3 gets no answer about anybody, from any port that has certificates."""

import asyncio
import socket
import ssl
import struct
from pathlib import Path

import pytest
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.record_read_service_pb2 import ListRecordsRequest, ListRecordsResponse

from cli.certificates.authority import utc_now
from cli.certificates.development import TRUST, certificate_folder, write_certificates
from services.runtime.access.table import default_table
from services.runtime.clock import system_clock
from services.runtime.rpc.security import mutual_tls
from services.runtime.rpc.server import Server
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import principal, store_of
from tests.testkit.fakes.servicer import Servicer, bindings

LOOKUP, STORE = principal("mesh/lookup"), store_of("430000")
PATH = "/hutong.records.v1.RecordReadService/ListRecords"
_HEADERS, _DATA, _SETTINGS = 1, 0, 4
_END_STREAM, _END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Returns a frame of HTTP/2 (RFC 9113, 4.1)."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def call(message: bytes) -> bytes:
    """Returns a call of gRPC as its bytes: headers that are neither indexed nor compressed (RFC 7541, 6.2.2)."""
    headers = {
        ":method": "POST",
        ":scheme": "https",
        ":path": PATH,
        ":authority": "test",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    block = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in headers.items()
    )
    body = b"\0" + struct.pack("!I", len(message)) + message
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(_SETTINGS, 0, 0, b"")
        + frame(_HEADERS, _END_HEADERS, 1, block)
        + frame(_DATA, _END_STREAM, 1, body)
    )


def told(port: int, folder: Path, version: ssl.TLSVersion) -> bytes:
    """Returns the message that is answered to a client with lookup's certificate which offers no more than a version of
    TLS; empty where there is none."""
    own = certificate_folder(folder, LOOKUP)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(own / "tls.crt", own / "tls.key")
    context.set_alpn_protocols(["h2"])
    context.maximum_version = version
    request = ListRecordsRequest(subject=Subject(person_key=bytes(16)), purpose=Purpose.PURPOSE_REGIONAL_SERVICE)
    message = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        try:
            with context.wrap_socket(plain) as wrapped:
                assert wrapped.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
                wrapped.sendall(call(request.SerializeToString()))
                stream = wrapped.makefile("rb")
                while head := stream.read(9):
                    kind, flags, number = struct.unpack("!BBI", head[3:])
                    payload = stream.read(int.from_bytes(head[:3], "big"))
                    if number == 1 and kind == _DATA:
                        message += payload
                    if number == 1 and flags & _END_STREAM:
                        break
        except (ssl.SSLError, ConnectionError):
            # Refused in the handshake: still better.
            return b""
    return message


@pytest.mark.parametrize(
    ("version", "answered"), [(ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)], ids=["1.2", "1.3"]
)
async def test_below_tls_1_3_nothing_is_answered(tmp_path: Path, version: ssl.TLSVersion, answered: bool) -> None:
    """The servicer is not even reached, though the certificate is the right one; with 1.3 the same call is answered."""
    write_certificates(tmp_path, [LOOKUP, STORE], now=utc_now())
    own = certificate_folder(tmp_path, STORE)
    files = TlsFiles(own / "tls.crt", own / "tls.key", tmp_path / TRUST)
    asked = 0

    async def answer(_: ListRecordsRequest) -> ListRecordsResponse:
        nonlocal asked
        asked += 1
        return ListRecordsResponse(next_page_token="more")

    server = Server("records", bindings(Servicer(answer)), security=mutual_tls(files, default_table(), system_clock))
    port = await server.start("127.0.0.1:0")
    try:
        message = await asyncio.to_thread(told, port, tmp_path, version)
    finally:
        await server.drain(0.0, 1.0)
    assert (int(answered), answered) == (asked, bool(message))
