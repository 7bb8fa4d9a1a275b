"""Ordinary HTTP clients work: what they send, byte by byte, and the clients themselves where the machine has them."""

import asyncio
import gzip
import json
import shutil
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.testkit.fakes.mesh import DOCUMENT, PERSON, Mesh, record, serving
from tests.testkit.needs import missing

SHOW = "/v1/healthCode:show"
BODY = json.dumps({"document": DOCUMENT, "region": "110000"}).encode()
CLIENTS = Path(__file__).parent / "clients"


@dataclass
class Answer:
    """One answer as it stood on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)

    @property
    def reasons(self) -> list[str]:
        """The reasons of a problem and of its violations."""
        return [self.json["reason"], *(one["reason"] for one in self.json["violations"])]


class Wire:
    """A connection on which bytes are written by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, method: str, path: str, body: bytes = b"", *headers: str, host: str | None = "localhost") -> None:
        """Writes one request."""
        lines = [f"{method} {path} HTTP/1.1", *([f"host: {host}"] if host else []), *headers]
        if body:
            lines.append(f"content-length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def answer(self, *, head_only: bool = False) -> Answer:
        """The next answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = 0 if head_only else int(headers.get("content-length", 0))
        return Answer(int(first.split()[1]), headers, await self._reader.readexactly(length))

    async def ended(self) -> bool:
        """Tells whether the connection was closed with nothing more on it."""
        return await self._reader.read() == b""


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Wire]:
    """A connection to a gateway."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(30):
            yield Wire(reader, writer)
    finally:
        writer.close()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Serves HTTP on a port of its own, over a mesh that knows one test of one person."""
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    async with serving(mesh) as (http, _):
        yield http


@pytest.fixture
async def wire(port: int) -> AsyncIterator[Wire]:
    """A connection to it."""
    async with connected(port) as made:
        yield made


HOST = "host: localhost"
JSON = "content-type: application/json"
OFFER = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA")


@pytest.mark.parametrize("pieces", [1, 2, 40])
async def test_an_offer_of_h2c_is_ignored(wire: Wire, pieces: int) -> None:
    """The JDK's client makes it with every request, and has its body read all the same; the connection goes on."""
    request = "\r\n".join([f"POST {SHOW} HTTP/1.1", HOST, JSON, *OFFER, f"content-length: {len(BODY)}", "", ""])
    whole = request.encode() + BODY
    step = -(-len(whole) // pieces)
    for start in range(0, len(whole), step):
        wire.writer.write(whole[start : start + step])
        await wire.writer.drain()
        await asyncio.sleep(0.005)
    assert (await wire.answer()).json["status"] == "RECOGNISED"
    wire.send("POST", SHOW, BODY, JSON)
    assert (await wire.answer()).json["freshness"] == "CACHED"


async def test_offers_in_one_breath_are_all_answered(wire: Wire) -> None:
    """What stands behind an offer that is ignored is the next request."""
    for _ in range(3):
        wire.send("POST", SHOW, BODY, JSON, *OFFER)
    wire.send("GET", "/openapi.json", b"", *OFFER)
    assert [(await wire.answer()).status for _ in range(4)] == [200] * 4


async def test_connect_is_refused(wire: Wire) -> None:
    """There is no tunnel here."""
    wire.writer.write(b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\n")
    assert (await wire.answer()).status == 405
    assert await wire.ended()


async def test_a_client_that_expects_to_be_told_is_told(wire: Wire) -> None:
    """100 Continue, and then the answer."""
    head = f"POST {SHOW} HTTP/1.1\r\n{HOST}\r\n{JSON}\r\nexpect: 100-continue\r\ncontent-length: {len(BODY)}\r\n\r\n"
    wire.writer.write(head.encode())
    assert (await wire.answer(head_only=True)).status == 100
    wire.writer.write(BODY)
    assert (await wire.answer()).json["status"] == "RECOGNISED"


async def test_a_client_that_expects_is_refused_before_it_sends(wire: Wire) -> None:
    """What is wrong can be seen from the head."""
    wire.writer.write(
        f"POST {SHOW} HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\nexpect: 100-continue\r\n"
        f"content-length: {len(BODY)}\r\n\r\n".encode()
    )
    assert (await wire.answer()).status == 415


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "GZIP"])
async def test_a_body_may_come_compressed(wire: Wire, name: str) -> None:
    """By gzip."""
    wire.send("POST", SHOW, gzip.compress(BODY), JSON, f"content-encoding: {name}")
    assert (await wire.answer()).json["status"] == "RECOGNISED"


@pytest.mark.parametrize(
    ("body", "encoding", "status", "reason"),
    [
        (b"x" * 20, "br", 415, "CONTENT_ENCODING_UNSUPPORTED"),
        (gzip.compress(gzip.compress(BODY)), "gzip, gzip", 415, "CONTENT_ENCODING_UNSUPPORTED"),
        (BODY, "gzip", 400, "BODY_NOT_GZIP"),
        (gzip.compress(BODY)[:-3], "gzip", 400, "BODY_NOT_GZIP"),
        (gzip.compress(BODY) + b"more", "gzip", 400, "BODY_NOT_GZIP"),
        (gzip.compress(b" " * ((1 << 20) + 1)), "gzip", 413, "BODY_TOO_LARGE"),
        (gzip.compress(b" " * (500 << 20), 9), "gzip", 413, "BODY_TOO_LARGE"),
    ],
    ids=["another", "twice", "not", "cut short", "more behind it", "too large", "a bomb"],
)
async def test_other_encodings_are_refused(wire: Wire, body: bytes, encoding: str, status: int, reason: str) -> None:
    """Nor may a body be larger for having been compressed."""
    wire.send("POST", SHOW, body, JSON, f"content-encoding: {encoding}")
    answer = await wire.answer()
    assert (answer.status, answer.reasons[-1]) == (status, reason)
    assert ("accept-encoding" in answer.headers) == (status == 415)


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.5", "x-gzip"])
async def test_an_answer_goes_compressed_to_who_accepts_it(wire: Wire, accepted: str) -> None:
    """Computed or cached, the same answer; small ones stay as they are."""
    for expected in ("COMPUTED", "CACHED", "CACHED"):
        wire.send("POST", SHOW, BODY, JSON, f"accept-encoding: {accepted}")
        answer = await wire.answer()
        assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "accept-encoding")
        code = json.loads(gzip.decompress(answer.body))
        assert (code["freshness"], code["status"]) == (expected, "RECOGNISED")
        # One stream, with nothing behind it: not every decoder reads on.
        inflating = zlib.decompressobj(31)
        inflating.decompress(answer.body)
        assert (inflating.eof, inflating.unused_data) == (True, b"")
    wire.send("GET", "/nowhere", b"", f"accept-encoding: {accepted}")
    assert (await wire.answer()).reasons == ["PATH_UNKNOWN"]
    wire.send("GET", "/openapi.json", b"", f"accept-encoding: {accepted}")
    answer = await wire.answer()
    assert json.loads(gzip.decompress(answer.body))["openapi"] == "3.1.0"


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.000"])
async def test_an_answer_goes_as_it_is_to_who_does_not(wire: Wire, accepted: str) -> None:
    """A weight of 0 is a no."""
    wire.send("POST", SHOW, BODY, JSON, f"accept-encoding: {accepted}")
    answer = await wire.answer()
    assert ("content-encoding" in answer.headers, answer.json["status"]) == (False, "RECOGNISED")


async def test_head_is_get_without_a_body(wire: Wire) -> None:
    """With the same headers, and the next answer right behind."""
    for path in ("/openapi.json", "/docs"):
        wire.send("HEAD", path)
        head = await wire.answer(head_only=True)
        wire.send("GET", path)
        answer = await wire.answer()
        assert (head.status, head.headers["content-length"]) == (200, answer.headers["content-length"])
    wire.send("HEAD", SHOW)
    assert (await wire.answer(head_only=True)).headers["allow"] == "post, options"


@pytest.mark.parametrize(("path", "allow"), [(SHOW, "post, options"), ("/v1/regions", "get, head, options")])
async def test_options_says_what_may_be_done(wire: Wire, path: str, allow: str) -> None:
    """With no body; where nothing is, there is nothing to do."""
    wire.send("OPTIONS", path)
    answer = await wire.answer()
    assert (answer.status, answer.headers["allow"], "content-length" in answer.headers) == (204, allow, False)
    wire.send("OPTIONS", "/nowhere")
    assert (await wire.answer()).status == 404


async def test_a_slash_at_the_end_makes_no_difference(wire: Wire) -> None:
    """One, not two."""
    wire.send("POST", f"{SHOW}/", BODY, JSON)
    assert (await wire.answer()).json["status"] == "RECOGNISED"
    wire.send("GET", "/v1/regions/")
    assert (await wire.answer()).status == 200
    wire.send("GET", "/v1/regions//")
    assert (await wire.answer()).status == 404


@pytest.mark.parametrize(
    ("charset", "status"),
    [("utf-8", 200), ('"UTF-8"', 200), ("us-ascii", 200), ("gbk", 415), ("gb18030", 415), ("utf-16", 415)],
)
async def test_json_is_utf_8(wire: Wire, charset: str, status: int) -> None:
    """Another charset is refused, not guessed at."""
    wire.send("POST", SHOW, BODY, f"{JSON}; charset={charset}")
    assert (await wire.answer()).status == status


async def test_requests_in_one_breath_are_answered_in_order(wire: Wire) -> None:
    """Pipelining, which few clients do and all may."""
    regions = ["110000", "310000", "430000", "440000"] * 5
    for region in regions:
        wire.send("POST", SHOW, json.dumps({"document": DOCUMENT, "region": region}).encode(), JSON)
    assert [(await wire.answer()).json["region"] for _ in regions] == regions


@pytest.mark.parametrize(
    "body",
    [
        '{"document":DOC,"region":"110000","region":"310000"}',
        '{"document":DOC,"document":DOC,"region":"110000"}',
        '{"document":DOC,"region":"110000","r\\u0065gion":"110000"}',
        '{"document":{"type":"RESIDENT_ID","number":"1","number":"2"},"region":"110000"}',
        '{"document":DOC,"region":"110000","refresh":false,"refresh":true}',
        '{"document":DOC,"region":"110000","at":null,"at":null}',
    ],
)
@pytest.mark.parametrize("path", [SHOW, "/v1/healthCode:batchShow"])
async def test_a_field_twice_is_refused(wire: Wire, path: str, body: str) -> None:
    """Which of the two was meant, nobody knows."""
    one = body.replace("DOC", json.dumps(DOCUMENT))
    wire.send("POST", path, (one if path == SHOW else f'{{"queries":[{one}]}}').encode(), JSON)
    answer = await wire.answer()
    assert (answer.status, answer.reasons[1:]) == (400, ["DUPLICATE_FIELD"])


@pytest.mark.parametrize("hosts", [(), ("x", "x"), ("x", "y")])
async def test_there_is_exactly_one_host(wire: Wire, hosts: Sequence[str]) -> None:
    """RFC 9112, 3.2. A client of HTTP/1.0 may name none."""
    wire.send("GET", "/docs", b"", *(f"host: {host}" for host in hosts), host=None)
    answer = await wire.answer()
    assert (answer.status, answer.reasons) == (400, ["HOST_REQUIRED"])
    if not hosts:
        wire.writer.write(b"GET /docs HTTP/1.0\r\n\r\n")
        assert (await wire.answer()).status == 200
        assert await wire.ended()


@pytest.mark.parametrize("path", ["/v1/results:claim", "/v1/healthCode:switchScope"])
async def test_what_changes_something_must_say_that_it_is_json(wire: Wire, path: str) -> None:
    """Any web page can send a form, a text, or bytes of no type; none can send JSON without asking first."""
    body = json.dumps({"document": DOCUMENT, "region": "210000", "scope": "LOCAL"}).encode()
    for kind in ((), ("content-type: text/plain",), ("content-type: application/x-www-form-urlencoded",)):
        wire.send("POST", path, body, *kind)
        answer = await wire.answer()
        assert (answer.status, answer.reasons) == (415, ["CONTENT_TYPE_UNSUPPORTED"])
    wire.send("POST", SHOW, BODY)
    assert (await wire.answer()).status == 200


async def run(*command: str) -> list[str]:
    """The lines that a client prints."""
    if shutil.which(command[0]) is None:
        missing(f"{command[0]} is not on this machine")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(300):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, err.decode()
    return out.decode().splitlines()


def shown(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Status and freshness of each code printed."""
    return [(line.split(" ", 1)[0], json.loads(line.split(" ", 1)[1])["freshness"]) for line in lines]


TWICE = [("200", "COMPUTED"), ("200", "CACHED")]


async def test_curl(port: int) -> None:
    """With what it can do: an offer of h2c, a wait for 100 Continue, a compressed answer, two requests."""
    url = f"http://127.0.0.1:{port}{SHOW}"
    ask = ["-sS", "-H", JSON, "-d", BODY.decode(), "-w", "\n", url]
    plain = ["--http2", *ask]
    expecting = ["--compressed", "-H", "expect: 100-continue", *ask]
    lines = await run("curl", *plain, "--next", *expecting)
    assert [json.loads(line)["freshness"] for line in lines] == ["COMPUTED", "CACHED"]


async def test_wget(port: int) -> None:
    """Debian's."""
    url = f"http://127.0.0.1:{port}{SHOW}"
    lines = await run("wget", "-qO-", f"--header={JSON}", f"--post-data={BODY.decode()}", url)
    assert json.loads(lines[0])["status"] == "RECOGNISED"


@pytest.mark.timeout(180)
async def test_the_jdk(port: int) -> None:
    """Its default client, which offers h2c."""
    url = f"http://127.0.0.1:{port}{SHOW}"
    assert shown(await run("java", str(CLIENTS / "Show.java"), url, BODY.decode())) == TWICE


async def test_node(port: int) -> None:
    """Its fetch."""
    assert shown(await run("node", str(CLIENTS / "show.mjs"), f"http://127.0.0.1:{port}{SHOW}", BODY.decode())) == TWICE


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_go(port: int) -> None:
    """Its standard client, which Go compiles with all it needs the first time."""
    url = f"http://127.0.0.1:{port}{SHOW}"
    assert shown(await run("go", "run", str(CLIENTS / "show.go"), url, BODY.decode())) == TWICE
