"""An outsider's stubs in a language that has none here: the shipped configuration generates them as it stands."""

import shutil
from pathlib import Path

import pytest

from tests.testkit.needs import missing
from tests.testkit.tools import ROOT, passes, tool

PROTOS = ROOT / "protos"
EXPECTED = {
    "java": "com/hutong/records/v1/RecordContent.java",
    "csharp": "Hutong/Records/V1/RecordWriteService.cs",
    "php": "Hutong/Records/V1/RecordContent.php",
    "ruby": "hutong/records/v1/record_pb.rb",
    "objc": "hutong/records/v1/Record.pbobjc.h",
}
"""For each language, one of the files that its programmers would expect."""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generates stubs from the contracts, and returns their folder."""
    if shutil.which("protoc") is None:
        missing("no protoc; Debian has it as protobuf-compiler")
    out = tmp_path_factory.mktemp("stubs")
    passes(tool("buf"), "generate", "--template", PROTOS / "buf.gen.yaml", "-o", out, PROTOS)
    return out / "gen"


@pytest.mark.parametrize("language", sorted(EXPECTED))
def test_stubs_lie_where_the_language_has_them(generated: Path, language: str):
    """By package, namespace or module; a message or a service has a file of its own where that is the custom."""
    assert (generated / language / EXPECTED[language]).is_file()


def test_every_contract_names_its_package_for_every_language():
    """As buf's managed mode would, so that two contracts of one package meet in one place."""
    options = ["csharp_namespace", "go_package", "java_multiple_files", "java_package", "objc_class_prefix"]
    options += ["php_namespace", "php_metadata_namespace", "ruby_package"]
    contracts = sorted((PROTOS / "hutong").rglob("*.proto"))
    assert len(contracts) > 15
    lacking = {
        str(path.relative_to(PROTOS)): [name for name in options if f"\noption {name} = " not in path.read_text()]
        for path in contracts
    }
    assert {} == {path: names for path, names in lacking.items() if names}


def test_go_packages_are_of_one_name_each():
    """The import path follows the package, and the name says it with its version: recordsv1."""
    for path in (PROTOS / "hutong").rglob("*.proto"):
        area, version = path.relative_to(PROTOS / "hutong").parts[:2]
        line = f'option go_package = "hutong.internal/protos/hutong/{area}/{version};{area}{version}";'
        assert line in path.read_text(), path
