"""The OpenAPI document, as makers and checkers of clients read it, in every form in which it is served."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from gateway.http.openapi.document import document

REFERENCE = re.compile(r'"#/components/(\w+)/([^"]+)"')
FORMS = pytest.mark.parametrize(
    "whole",
    [document(False), document(True), document(True, sign_in=True)],
    ids=["people", "samples", "signing in"],
)


def operations(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields every call that is described."""
    for path in whole["paths"].values():
        yield from path.values()


def contents(whole: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every body and answer that is described, with its call."""
    for operation in operations(whole):
        for part in (operation.get("requestBody", {}), *operation["responses"].values()):
            for content in part.get("content", {}).values():
                yield operation["operationId"], content


@FORMS
def test_every_example_is_what_its_schema_says(whole):
    """A client that is tried with an example is not refused, and one that reads one finds every field."""
    examples = [(name, content) for name, content in contents(whole) if "example" in content]
    assert len(examples) > 10
    for name, content in examples:
        schema = {**content["schema"], "components": whole["components"]}
        errors = jsonschema.Draft202012Validator(schema).iter_errors(content["example"])
        assert (name, []) == (name, [error.message for error in errors])


@FORMS
def test_everything_that_is_described_is_used(whole):
    """And everything that is referred to is described."""
    described = {(kind, name) for kind, parts in whole["components"].items() for name in parts}
    schemes = {
        ("securitySchemes", name) for operation in operations(whole) for one in operation["security"] for name in one
    }
    assert described == set(REFERENCE.findall(json.dumps(whole))) | schemes


@FORMS
def test_every_call_says_if_it_wants_a_token_and_what_it_is_about(whole):
    """A call about nobody may be made without a token."""
    assert {tag["name"] for tag in whole["tags"]} == {tag for one in operations(whole) for tag in one["tags"]}
    free = {one["operationId"] for one in operations(whole) if {} in one["security"]}
    assert free <= {"listRegions", "getTrustBundle", "samplePeople", "signIn"}
    assert all({"token": []} in one["security"] for one in operations(whole))


def test_a_default_is_no_requirement():
    """The README's own request has all that a client has to send, and no schema of a body has a default, which
    makers of clients take for a value that must be there."""
    schemas = document(False)["components"]["schemas"]
    assert ["document", "region"] == sorted(schemas["HealthCodeQuery"]["required"])
    bodies = [name for name in schemas if name.endswith(("Request", "Query"))]
    assert bodies
    assert [] == [name for name in bodies for one in schemas[name]["properties"].values() if "default" in one]
