"""The pages by path, each with a content security policy that allows what it holds and nothing else."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files

from gateway.application.samples import SamplePerson
from gateway.http.openapi.document import document
from gateway.http.routing import HTML, Route, fixed
from gateway.http.views.answer import encode
from gateway.http.views.samples import sample_people_response
from gateway.pages import docs


def page_routes(people: Sequence[SamplePerson] | None, *, sign_in: bool = False) -> Mapping[str, Route]:
    """Returns the holder's page, the venue's, the documentation, the description and, where there are any, the sample
    people."""
    described = document(people is not None, sign_in=sign_in)
    # The gate stands within its page, which then needs nothing more when the network is gone.
    gate = _text("gate.mjs").replace("export class", "class")
    routes = {
        "/": _page("home", _text("home.html")),
        "/check": _page("check", _text("check.html").replace("/*gate.mjs*/", gate)),
        "/docs": _page("docs", docs.page(described)),
        "/openapi.json": fixed("openapi", encode(described)),
    }
    if people is not None:
        routes["/v1/samplePeople"] = fixed("SamplePeople", encode(sample_people_response(people)))
    return routes


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _page(operation: str, page: str) -> Route:
    return fixed(operation, page.encode(), HTML, _policy(page))


def _policy(page: str) -> Sequence[tuple[bytes, bytes]]:
    allowed = [
        "default-src 'none'",
        f"style-src {_hash(page, 'style')}",
        f"script-src {_hash(page, 'script')}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return (
        (b"content-security-policy", "; ".join(allowed).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    )


def _hash(page: str, element: str) -> str:
    """Returns the content security policy's source for the page's one inline element of a kind."""
    _, start, rest = page.partition(f"<{element}>")
    if not start:
        return "'none'"
    inline = rest.partition(f"</{element}>")[0]
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"
