"""Pages put together from their parts, each with a content security policy that allows what it holds and no more."""

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

_PART = re.compile(r"^/\*([a-z]+/[a-z0-9.-]+)\*/$", re.MULTILINE)


def read_bytes(name: str) -> bytes:
    """Returns a file of this package, by its path below it."""
    return files(__package__).joinpath(name).read_bytes()


def read_text(name: str) -> str:
    """Returns a text of this package, by its path below it."""
    return read_bytes(name).decode("utf-8")


def assembled(name: str) -> str:
    """Returns a page with its parts in the places that name them, so that it needs nothing more when the network is
    gone."""
    return _PART.sub(lambda part: _inline(part.group(1)), read_text(name))


def _inline(name: str) -> str:
    text = read_text(name).strip()
    # A module's exports have no place in a page's own script.
    return text.replace("export class", "class") if name.endswith(".mjs") else text


def page_headers(page: str) -> Sequence[tuple[bytes, bytes]]:
    """Returns the headers of a page: its content security policy, and that a copy is asked about before it is shown."""
    return _headers(
        "default-src 'none'",
        f"style-src {_hash(page, 'style')}",
        f"script-src {_hash(page, 'script')}",
        "connect-src 'self'",
        "img-src 'self' data:",
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )


def worker_headers() -> Sequence[tuple[bytes, bytes]]:
    """Returns the headers of the service worker, which asks nobody but this origin."""
    return _headers("default-src 'none'", "connect-src 'self'")


def _headers(*allowed: str) -> Sequence[tuple[bytes, bytes]]:
    return (
        (b"content-security-policy", "; ".join(allowed).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-cache"),
    )


def _hash(page: str, element: str) -> str:
    """Returns the content security policy's source for the page's one inline element of a kind."""
    _, start, rest = page.partition(f"<{element}>")
    if not start:
        return "'none'"
    inline = rest.partition(f"</{element}>")[0]
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"
