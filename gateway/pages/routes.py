"""The pages by path, each with a content security policy that allows what it holds and nothing else."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files

from gateway.application.samples import SamplePerson
from gateway.http.openapi.document import document
from gateway.http.routes import HTML, Route, fixed, sample_people
from gateway.http.views import encode
from gateway.pages import docs


def page_routes(people: Sequence[SamplePerson] | None) -> Mapping[str, Route]:
    """The application page, the documentation, the description and, where there are any, the sample people."""
    described = document(people is not None)
    home = files(__package__).joinpath("home.html").read_text(encoding="utf-8")
    routes = {
        "/": Route("GET", "home", fixed(home.encode(), HTML, _policy(home))),
        "/docs": Route("GET", "docs", fixed(docs.page(described).encode(), HTML, _policy(docs.page(described)))),
        "/openapi.json": Route("GET", "openapi", fixed(encode(described))),
    }
    if people is not None:
        routes["/v1/samplePeople"] = Route("GET", "SamplePeople", sample_people(people))
    return routes


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
    """The content security policy source of the page's one inline element of a kind."""
    _, found, rest = page.partition(f"<{element}>")
    if not found:
        return "'none'"
    inline = rest.partition(f"</{element}>")[0]
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"
