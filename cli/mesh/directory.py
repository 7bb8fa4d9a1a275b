"""Writes the list of who is on the mesh, for the services that take it from a file."""

import msgspec

from cli.mesh.plan import Plan


def write_directory(plan: Plan) -> None:
    """Writes the plan's directory file. Raises OSError."""
    plan.directory.parent.mkdir(parents=True, exist_ok=True)
    plan.directory.write_bytes(msgspec.yaml.encode(plan.members))
