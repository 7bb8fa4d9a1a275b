"""The published JSON Schema of policy files, made from the structs that read them.

`python -m services.verdict.policy.tools.schema` writes it; a test holds the two together.
"""

import json
from pathlib import Path

import msgspec

from services.verdict.domain.policy.contents import NoticeFile, PolicyFile
from services.verdict.policy.files import DEFAULT_DIRECTORY

PATH = DEFAULT_DIRECTORY / "policy.schema.json"


def schema() -> dict[str, object]:
    """The schema: a region's policy, or the national notice."""
    (policy, notice), components = msgspec.json.schema_components(
        [PolicyFile, NoticeFile], ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://hutong.example/policy.schema.json",
        "title": "A policy of hutong: one version of one region's, or of the national notice",
        "anyOf": [policy, notice],
        "$defs": components,
    }


def text() -> str:
    """The schema as it is committed."""
    return json.dumps(schema(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def write(path: Path = PATH) -> None:
    """Writes it."""
    path.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    write()
