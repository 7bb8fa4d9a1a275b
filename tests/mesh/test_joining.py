"""Everything docs/joining.md shows runs, in its order, against a mesh like the one it describes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.testkit.servers.hutong_up import Up, running
from tests.testkit.servers.shown import blocks, run_shown
from tests.testkit.tools import ROOT

PAGE = ROOT / "docs" / "joining.md"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    """A mesh with sample people."""
    async with running(tmp_path_factory.mktemp("joining") / "data") as mesh:
        yield mesh


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of whoever joins."""
    return tmp_path_factory.mktemp("partner")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("step", range(len(blocks(PAGE, "sh"))))
async def test_the_commands_run(up: Up, folder: Path, step: int) -> None:
    """Each block ends with status 0, and says something; later ones read what earlier ones wrote."""
    assert (await run_shown(blocks(PAGE, "sh")[step], up, folder)).strip()


def test_every_step_has_a_command() -> None:
    """A step of the way that nobody can take is a promise."""
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    assert [str(number) for number in range(1, 7)] == [section.split()[0] for section in sections]
    assert all("```sh" in section for section in sections)
