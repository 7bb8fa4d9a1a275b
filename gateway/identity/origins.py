"""Cross-origin requests (the Fetch standard): which other origins' pages may call the API, and read what it answers."""

from collections.abc import Iterable, Sequence

Headers = Sequence[tuple[bytes, bytes]]

_NONE: Headers = ()


class Origins:
    """Allows the pages of some origins what the gateway's own page may do. To any other nothing is said, and browsers
    keep the answers from it."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._allowed = frozenset(origin.encode() for origin in origins)

    def headers(self, origin: bytes) -> Headers:
        """Returns the headers of an answer to a page of this origin."""
        if not self._allowed:
            return _NONE
        if origin not in self._allowed:
            return ((b"vary", b"origin"),)
        return (
            (b"vary", b"origin"),
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"traceparent, www-authenticate, retry-after"),
        )

    def preflight(self, origin: bytes | None) -> Headers:
        """Returns the headers that say what a page of this origin may send."""
        if origin not in self._allowed:
            return _NONE
        return (
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", b"authorization, content-type, hutong-purpose, traceparent"),
            (b"access-control-max-age", b"600"),
        )
