"""An issuer's address that answers slowly, or with what is no HTTP, costs one thread for seconds, and no call an error
that nobody expected."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from gateway.identity import key_sets
from gateway.identity.key_sets import source_of
from services.common.errors import Unavailable

_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"


@contextmanager
def issuer(begins: bytes, drips: bytes) -> Iterator[str]:
    """Serves an address that begins an answer, and goes on byte by byte; yields its URL."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            with connection:
                try:
                    connection.recv(4_096)
                    connection.sendall(begins)
                    while drips and not ended.wait(0.05):
                        connection.sendall(drips)
                except OSError:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/jwks.json"
        finally:
            ended.set()
            thread.join()


def downloading() -> int:
    """Returns how many threads there are for keys."""
    return sum(one.name.startswith("issuer-keys") for one in threading.enumerate())


def fetch(url: str) -> None:
    """Fetches once, whatever comes of it."""
    with suppress(OSError):
        key_sets._download(url)


@pytest.mark.parametrize(
    ("begins", "drips"),
    [(_BODY, b"{"), (b"HTTP/1.1 200 OK\r\nX: ", b"a"), (b"", b"a"), (b"nonsense\r\n\r\n", b""), (b"", b"")],
    ids=["body", "header", "status", "nonsense", "nothing"],
)
async def test_an_issuer_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch, begins: bytes, drips: bytes):
    """Within the time for a fetch, and its thread with it; the call is told that the keys cannot be had."""
    monkeypatch.setattr(key_sets, "FETCH_SECONDS", 0.3)
    monkeypatch.setattr(key_sets, "REFETCH_SECONDS", 0.01)
    before = downloading()
    with issuer(begins, drips) as url:
        source = source_of("https://id.test.example", url)
        for _ in range(4):
            with pytest.raises(Unavailable, match="cannot be had"):
                await source.find("one", "ES256")
        assert downloading() <= before + 1
        # The thread comes back by itself while the issuer goes on.
        thread = threading.Thread(target=fetch, args=(url,), daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, 30)
        assert not thread.is_alive()
