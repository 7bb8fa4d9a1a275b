"""Tells how far laboratories have come that write down what was acknowledged: see intake_client."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

PROGRESS_SECONDS = 90


def acknowledged(file: Path) -> int:
    """Returns the number of the last batch that a laboratory wrote down as acknowledged."""
    lines = file.read_text().split("\n")[:-1]
    return int(lines[-1]) if lines else 0


async def progress(files: Sequence[Path], batches: int) -> None:
    """Returns when each laboratory got so many acknowledgements more. Raises TimeoutError."""
    before = [acknowledged(file) for file in files]
    async with asyncio.timeout(PROGRESS_SECONDS):
        while any(acknowledged(file) < stood + batches for file, stood in zip(files, before, strict=True)):
            await asyncio.sleep(0.02)
