"""Strategies for what goes ahead of a request: metadata, methods, paths, headers, and the claims of a token."""

import string
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.testkit.fuzzing.values import NUMBERS, RESIDENTS

_NUMBER = st.sampled_from(RESIDENTS)
_PRINTABLE = st.text(string.ascii_letters + string.digits + string.punctuation + " ", max_size=60).map(str.strip)
_TRACE = st.one_of(
    st.sampled_from(RESIDENTS).map(lambda number: f"00-{number.lower()}{'b' * 14}-00f067aa0ba902b7-01"),
    st.uuids().map(lambda one: f"00-{one.hex}-{one.hex[:16]}-01"),
    _PRINTABLE,
)
_NAME = st.one_of(
    st.sampled_from(["fuzz", "gateway", "records-nation", "spiffe://hutong/mesh/gateway", "x" * 300]),
    _NUMBER,
    _NUMBER.map(lambda number: f"spiffe://hutong/supervisor/{number}"),
    _PRINTABLE,
)
_TOKEN = st.one_of(_NUMBER, _PRINTABLE, st.just("e30.e30.e30")).map(lambda token: f"Bearer {token}".strip())
_ODD = {"hutong-caller": _NAME, "hutong-users": _NAME, "traceparent": _TRACE, "authorization": _TOKEN}


@st.composite
def metadata_entries(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Draws a call's metadata: of nine in ten the caller's name alone, of the others anything in it."""
    if draw(st.integers(0, 9)):
        return [("hutong-caller", "fuzz")]
    chosen = draw(st.lists(st.sampled_from(sorted(_ODD)), unique=True, max_size=3))
    return [(key, draw(_ODD[key])) for key in {**dict.fromkeys(chosen), "hutong-caller": None}]


class Head(NamedTuple):
    """The head of one HTTP request."""

    method: str
    target: str
    headers: dict[str, str]


_HEADERS = {
    "accept-encoding": st.sampled_from(["gzip", "gzip;q=0", "identity", "*", "br"]),
    "authorization": _TOKEN,
    "content-encoding": st.sampled_from(["gzip", "identity", "x"]),
    "content-type": st.sampled_from(["application/json", "text/plain", "application/json; charset=gbk", "x"]),
    "cookie": _NUMBER.map(lambda number: f"id={number}"),
    "hutong-purpose": st.one_of(st.sampled_from(["SHOW_CODE", "SUPERVISION", "show_code"]), _NUMBER, _PRINTABLE),
    "origin": st.one_of(st.just("http://127.0.0.1"), _PRINTABLE),
    "traceparent": _TRACE,
    "user-agent": st.one_of(_NUMBER, _PRINTABLE),
    "x-forwarded-for": st.one_of(st.just("192.0.2.1"), _NUMBER, _PRINTABLE),
}
_METHODS = ("GET", "GET", "POST", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE")
_SAFE = st.text(string.ascii_letters + string.digits + "-._~:@!$&'()*+,;=%", max_size=30)


def heads(paths: Sequence[str]) -> st.SearchStrategy[Head]:
    """Returns a strategy for heads of requests to these paths, and to others."""

    @st.composite
    def head(draw: st.DrawFn) -> Head:
        path = draw(st.one_of(st.sampled_from(paths), st.sampled_from(paths), _SAFE.map(lambda text: f"/{text}")))
        path += draw(st.sampled_from(["", "", "", "/", "/" + draw(_NUMBER), "%00"]))
        query = draw(st.sampled_from(["", "", f"pageSize={draw(st.integers(-1, 1_001))}", f"document={draw(_NUMBER)}"]))
        query += draw(st.sampled_from(["", "&pageToken=" + draw(_SAFE), "&pageToken=" + draw(_NUMBER)]))
        chosen = draw(st.lists(st.sampled_from(sorted(_HEADERS)), unique=True, max_size=4))
        headers = {name: draw(_HEADERS[name]) for name in chosen}
        return Head(draw(st.sampled_from(_METHODS)), f"{path}?{query}" if query else path, headers)

    return head()


_JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.just(10**400),
    _PRINTABLE,
    _NUMBER,
    st.sampled_from([[], {}]),
)
_SHOWN = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["RESIDENT_ID", "PASSPORT", "UNSPECIFIED", "x", 1, None]),
        "number": st.one_of(st.sampled_from(NUMBERS), _JUNK),
    },
)
_SUBJECT = st.one_of(_NUMBER, _NUMBER.map(lambda one: f"a-{one}"), st.sampled_from(["one", "..", "a/b", "x" * 65]))
_CLAIMS = {
    "aud": st.one_of(st.just(["hutong-development", "x"]), _JUNK),
    "dependants": st.one_of(st.lists(_SHOWN, max_size=22), _JUNK),
    "document": st.one_of(_SHOWN, _SHOWN, _JUNK),
    "exp": st.one_of(st.integers(-10, 10).map(lambda hours: int(time.time()) + hours * 3_600), _JUNK),
    "iat": _JUNK,
    "iss": _JUNK,
    "jti": _JUNK,
    "nbf": _JUNK,
    "region": st.one_of(st.sampled_from(["110000", "430000", "999999"]), _JUNK),
    "sub": st.one_of(_SUBJECT, _SUBJECT, _JUNK),
}
_ROLES = st.sampled_from(["holder", "guardian", "venue", "laboratory", "supervisor", "operator"])


@st.composite
def claims_of_tokens(draw: st.DrawFn) -> dict[str, Any]:
    """Draws the claims of a token: a role nearly always, and with it what it needs or anything."""
    claims: dict[str, Any] = {"role": draw(_ROLES) if draw(st.integers(0, 9)) else draw(_JUNK)}
    likely = {"document", "dependants", "region", "sub"}
    for name, strategy in _CLAIMS.items():
        if draw(st.integers(0, 9)) < (8 if name in likely else 1):
            claims[name] = draw(strategy)
    return claims
