"""Reads the list of who is on the mesh from the file that a setting names."""

from pathlib import Path

from services.common.mesh_directory import MeshDirectory, parse_directory


def read_directory(path: str) -> MeshDirectory:
    """Returns the list in a file, an empty one for no path. Raises ValueError naming HUTONG_DIRECTORY."""
    if not path:
        return MeshDirectory()
    try:
        return parse_directory(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"HUTONG_DIRECTORY: {path}: {error}") from None
