"""docs/settings.md, made from the settings' own structs: `python -m tests.testkit.settings_page > docs/settings.md`."""

import ast
import inspect
import sys
from pathlib import Path
from typing import Any

import msgspec

import services.lookup.settings
import services.records.settings
import services.verdict.settings
from gateway.settings import GatewaySettings
from services.runtime.settings.environment import ServerSettings, shape_of
from services.runtime.settings.names import PREFIX

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"

KINDS: dict[str, type[msgspec.Struct]] = {
    "Every process": ServerSettings,
    "`python -m services.records`": services.records.settings.Settings,
    "`python -m services.lookup`": services.lookup.settings.Settings,
    "`python -m services.verdict`": services.verdict.settings.Settings,
    "`python -m gateway`": GatewaySettings,
}

HEAD = """\
# Settings

Each process takes its settings from its environment, once, when it starts. This page is made from the code, by
`python -m tests.testkit.settings_page > docs/settings.md`; a test says when it is not up to date.

- A value that will not do ends the process with status 2 and one sentence that names the variable. So does a name
  that begins with `HUTONG_` and is no setting, with the nearest one that is; variables of other services are left
  alone, so one ConfigMap may serve all, and so are the links that Kubernetes makes for a Service called `hutong-…`.
- Lists are `a,b`, maps `a=b,c=d`. Times are seconds, with a fraction where that helps. Sets of policies and people's
  results are no settings: see [policies](policies.md).
- Whom to trace: a request is traced when `HUTONG_TRACE_RATIO` picks it, or when its caller asks for it by the sampled
  flag of `traceparent`. A traced request travels alone and costs several times as much as one among many, so that the
  gateway, where strangers come in, keeps the callers' wish only `HUTONG_TRACE_ASKED` times a second; beyond, the
  request keeps the id of its trace and is not recorded. Between the services the decision is kept.
- Names of OpenTelemetry: the exporter takes its headers, timeout, compression and certificates, and the sizes of its
  batches, from `OTEL_EXPORTER_OTLP_…` and `OTEL_BSP_…`, and every span the `OTEL_RESOURCE_ATTRIBUTES`. All others that
  begin with `OTEL_`, such as `OTEL_EXPORTER_OTLP_ENDPOINT`, are named in the log at start as ignored, with the setting
  that counts.
- Connections to the gateway's HTTP port that ask for nothing are closed: after `HUTONG_HTTP_HEAD_SECONDS` when the
  head of a request does not come, after `HUTONG_HTTP_IDLE_SECONDS` between two requests. A load balancer in front
  should keep its own idle connections for less than the latter.
"""


def _docstrings(kind: type) -> dict[str, str]:
    """Returns the docstring below each field of a struct."""
    (made,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(made, ast.ClassDef)
    found = {}
    for field, below in zip(made.body, made.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            assert isinstance(below.value, ast.Constant)
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def _default(field: Any) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if field.name == "mesh_secret":
        return "required"
    if value in ("", (), {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def rows(kind: type[msgspec.Struct]) -> list[str]:
    """A row for each setting that a struct adds to those of every server."""
    inherited = set() if kind is ServerSettings else {field.name for field in msgspec.structs.fields(ServerSettings)}
    told = _docstrings(kind)
    made = []
    for field in msgspec.structs.fields(kind):
        if field.name not in inherited:
            checked = shape_of(field.type)[1]
            unit = checked.unit if checked else "text"
            made.append(f"| `{PREFIX}{field.name.upper()}` | {_default(field)} | {unit} | {told[field.name]} |")
    return made


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, kind in KINDS.items():
        parts.append(f"## {title}\n\n| Variable | Default | Unit | What it is |\n|---|---|---|---|")
        parts += [*rows(kind), ""]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
