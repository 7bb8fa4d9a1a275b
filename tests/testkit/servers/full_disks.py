"""Disks that are full and have room again: a small one of memory, or a bound on the files of one process."""

import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MEGABYTE = 1024 * 1024


class SmallDisk:
    """A disk at `path`. `fill` leaves some room, for what is bound to be written next: it is not known how much."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Takes all of its room but a megabyte."""
        free = os.statvfs(self.path)
        with self._ballast.open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, max(1, free.f_bavail * free.f_frsize - MEGABYTE))

    def free(self) -> None:
        """Gives the room back."""
        self._ballast.unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """Mounts a disk meanwhile, where any user may go; the test is skipped where that is not permitted."""
    path = Path(tempfile.mkdtemp(prefix="hutong-disk-"))
    path.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "none", str(path)]
    try:
        try:
            done = subprocess.run(mount, capture_output=True, text=True, check=False)
        except OSError as error:
            pytest.skip(f"no disk can be mounted: {error}")
        if done.returncode:
            pytest.skip(f"no disk can be mounted: {done.stderr.strip()}")
        try:
            yield SmallDisk(path)
        finally:
            # Lazily: what still has a file open there is about to end.
            subprocess.run(["umount", "--lazy", str(path)], check=True)
    finally:
        path.rmdir()


class BoundedFiles:
    """A process whose files may grow no further: what it writes beyond fails as on a full disk (EFBIG)."""

    def __init__(self, pid: int, path: Path) -> None:
        """`path` is the largest of its files."""
        self._pid = pid
        self._path = path

    def fill(self) -> None:
        """Lets no file grow beyond what the largest is now."""
        most = max(file.stat().st_size for file in self._path.parent.glob(f"{self._path.name}*"))
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def free(self) -> None:
        """Lets them grow again."""
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
