"""The mesh that benchmarks measure is set up as one that people run."""

from pathlib import Path

import pytest

from bench.servers import mesh
from cli.mesh.in_process import EmbeddedMesh
from services.runtime.settings.environment import ServerSettings


class _StartedError(Exception):
    """The mesh starts."""


async def test_its_process_is_set_up_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above all how seldom garbage is collected: otherwise what is measured is what nobody pays."""
    settings: list[ServerSettings] = []

    async def start_all(_: EmbeddedMesh) -> None:
        raise _StartedError

    monkeypatch.setattr(mesh, "configure_process", settings.append)
    monkeypatch.setattr(EmbeddedMesh, "start_all", start_all)
    with pytest.raises(_StartedError):
        await mesh.serve(tmp_path, {})
    assert len(settings) == 1
