"""The pages by path."""

from collections.abc import Mapping, Sequence

from gateway.application.samples import SamplePerson
from gateway.http.openapi.document import document
from gateway.http.routing import HTML, Route, fixed
from gateway.http.views.answer import encode
from gateway.http.views.samples import sample_people_response
from gateway.pages import docs
from gateway.pages.assembly import assembled, page_headers
from gateway.pages.installation import installation_routes


def page_routes(people: Sequence[SamplePerson] | None, *, sign_in: bool = False) -> Mapping[str, Route]:
    """Returns the holder's page, the venue's, the supervisor's, what installs the first two, the documentation, the
    description and, where there are any, the sample people."""
    described = document(people is not None, sign_in=sign_in)
    installed = {"/": assembled("holder/page.html"), "/check": assembled("venue/page.html")}
    routes = {
        "/": _page("home", installed["/"]),
        "/check": _page("check", installed["/check"]),
        "/supervision": _page("supervision", assembled("supervision/page.html")),
        "/docs": _page("docs", docs.page(described)),
        "/openapi.json": fixed("openapi", encode(described)),
        **installation_routes(installed),
    }
    if people is not None:
        routes["/v1/samplePeople"] = fixed("SamplePeople", encode(sample_people_response(people)))
    return routes


def _page(operation: str, page: str) -> Route:
    return fixed(operation, page.encode(), HTML, page_headers(page))
