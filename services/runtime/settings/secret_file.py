"""The mesh's secret of a process, from a file that is changed while it runs.

Who changes the secret replaces the file; it is looked at again at most once a second, and one that will not do leaves
the last good one in force. What is made under the version that was current at the start goes on being so within the
process (see PersonKeys); what leaves it is of the version that is current now.
"""

import logging
import time
from pathlib import Path
from typing import Protocol

from services.common.documents import PersonKeys
from services.common.mesh_secret import MeshSecret, MeshSecretError, parse_mesh_secret
from services.runtime.metrics import SECRET_VERSION

log = logging.getLogger("hutong.secret")

LOOK_SECONDS = 1.0
"""How often the file is looked at, at most."""


class SecretSettings(Protocol):
    """The settings that name a secret: its text as it was read at the start, and the file that it was read from."""

    @property
    def mesh_secret(self) -> str:
        """The text."""

    @property
    def mesh_secret_file(self) -> str:
        """The file; empty where there is none, and the secret stays as it is."""


class SecretFile:
    """The secret in force, and the keys that are made under it."""

    def __init__(self, text: str, path: Path | None = None) -> None:
        """Begins with a text, which `path` had a moment ago. Raises MeshSecretError."""
        self._secret = parse_mesh_secret(text)
        self._own_fingerprint = self._secret.fingerprint()
        self.known: dict[bytes, int] = {}
        """Every version that was ever read, by its fingerprint: a store may still have keys of it."""
        self._know(self._secret)
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._looked = float("-inf")
        self.keys = PersonKeys(text.encode())
        """The keys of this process, renewed with the secret."""
        self._tell()

    @property
    def own_fingerprint(self) -> bytes:
        """The fingerprint of the version that was current at the start: within the process it stands for the mesh."""
        return self._own_fingerprint

    def current(self, *, at_once: bool = False) -> MeshSecret:
        """Returns the secret in force: the same object until the file changes. `at_once`: somebody spoke of a version
        that is not known, so the file is looked at, however lately it was."""
        now = time.monotonic()
        if self._path is not None and (at_once or now - self._looked >= LOOK_SECONDS):
            self._looked = now
            try:
                status = self._path.stat()
                state = (status.st_mtime_ns, status.st_ino)
                if state != self._seen:
                    self._seen = state
                    self._take(parse_mesh_secret(self._path.read_text(encoding="utf-8")))
            except (OSError, ValueError) as error:
                # The message never holds any of the secret.
                log.warning("the mesh's secret was not renewed: %s", error)
        return self._secret

    def _tell(self) -> None:
        SECRET_VERSION.labels("current").set(self._secret.current)
        SECRET_VERSION.labels("newest").set(max(self._secret.versions))
        SECRET_VERSION.labels("oldest").set(min(self._secret.versions))

    def _know(self, secret: MeshSecret) -> None:
        self.known.update({secret.fingerprint(version): version for version in secret.versions})

    def _take(self, secret: MeshSecret) -> None:
        if secret == self._secret:
            return
        if secret.root != self._secret.root:
            raise MeshSecretError("its root is another: it is the secret of another mesh")
        changed = [v for v in secret.versions if self._secret.versions.get(v, secret.versions[v]) != secret.versions[v]]
        if changed:
            raise MeshSecretError(f"version {changed[0]} is another than before")
        self._secret = secret
        self._know(secret)
        self.keys.renew(secret)
        self._tell()
        log.info("the mesh's secret was renewed", extra={"versions": sorted(secret.versions), "now": secret.current})


def process_secret(settings: SecretSettings) -> SecretFile:
    """Returns the secret of the process that has these settings. Raises MeshSecretError, also where it has none."""
    path = Path(settings.mesh_secret_file) if settings.mesh_secret_file else None
    return SecretFile(settings.mesh_secret, path)
