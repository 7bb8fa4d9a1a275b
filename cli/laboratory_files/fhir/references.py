"""References between resources, by FHIR R4's rules (Bundle, "Resolving references in Bundles"; References between
resources).

`Patient/1` means a resource of the server that the referring one came from: of the same base as its fullUrl. Among
entries whose fullUrl is no RESTful address, or that have none, as in a bulk export, it means one of them.
"""

import re

_RESTFUL = re.compile(
    r"(?:(?P<base>https?://[^\s?#]+)/)?(?P<type>[A-Z][A-Za-z]{2,63})/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/[A-Za-z0-9\-.]{1,64})?/?"
)


def base_of(full_url: str) -> str:
    """Returns the server that an entry's fullUrl is of; empty where it tells none."""
    match = _RESTFUL.fullmatch(full_url)
    return (match["base"] or "") if match else ""


def addresses(full_url: str, kind: str, resource_id: str) -> list[str]:
    """Returns the names under which others may refer to an entry: its type, id and fullUrl."""
    match = _RESTFUL.fullmatch(full_url)
    if match and match["base"]:
        return [f"{match['base']}/{match['type']}/{match['id']}"]
    names = [full_url] if full_url else []
    if resource_id:
        names.append(f"{kind}/{resource_id}")
    return names


def resolve(reference: str, base: str) -> str:
    """Returns the name of what a reference means within a resource of this server (see base_of); its version is left
    out: all versions are of one resource. Empty for a reference that names none, such as a search."""
    if reference.startswith("urn:"):
        return reference
    match = _RESTFUL.fullmatch(reference)
    if match is None:
        return reference if reference.startswith(("http://", "https://")) else ""
    server = match["base"] or base
    name = f"{match['type']}/{match['id']}"
    return f"{server}/{name}" if server else name
