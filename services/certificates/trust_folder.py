"""A folder of trusted signers that is read again when it changes: certificates, and the list of those revoked.

So a region's next key is trusted before it signs, and its last one after it signed no more, without a restart. A folder
that cannot be read any more leaves what was read last, and says so in the log.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.certificates.revocation import FILE, Revocations, read_revocations
from services.certificates.trust import Trust, trust_of

log = logging.getLogger("hutong.certificates")

LOOK_SECONDS = 2.0
"""How long what was read is believed before the folder is looked at again."""

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Trusted:
    """The signers that are believed, and the certificates that were revoked."""

    signers: Trust
    revoked: Revocations


def folder_stamp(folder: Path) -> Stamp:
    """Returns what changes when a file of a folder does. Raises OSError."""
    stamps = []
    for path in sorted(folder.iterdir()):
        # A file that is replaced while one looks is looked at again the next time.
        if path.is_file():
            status = path.stat()
            stamps.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(stamps)


class TrustFolder:
    """The trusted signers of a folder."""

    def __init__(self, folder: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Reads the folder. Raises ValueError that names a file that will not do, also where there is no signer in it,
        and OSError."""
        self._folder = folder
        self._monotonic = monotonic
        self._stamp = folder_stamp(folder)
        self._trusted = _read(folder)
        if not len(self._trusted.signers):
            raise ValueError(f"{folder} holds no signer's certificate")
        self._looked = monotonic()

    @property
    def trusted(self) -> Trusted:
        """Returns what the folder holds now, or held when it could be read last."""
        now = self._monotonic()
        if now - self._looked < LOOK_SECONDS:
            return self._trusted
        self._looked = now
        try:
            stamp = folder_stamp(self._folder)
            if stamp != self._stamp:
                self._trusted, self._stamp = _read(self._folder), stamp
        except (OSError, ValueError) as error:
            log.warning("the trusted signers cannot be read again", extra={"error": str(error)})
        return self._trusted


def _read(folder: Path) -> Trusted:
    revoked = folder / FILE
    try:
        revocations = read_revocations(revoked.read_text(encoding="utf-8")) if revoked.exists() else Revocations()
    except ValueError as error:
        raise ValueError(f"{FILE}: {error}") from error
    return Trusted(trust_of(folder), revocations)
