"""A mesh whose services are of two versions: the tree's and one from its history."""

import io
import subprocess
import tarfile
from collections.abc import Collection
from pathlib import Path

from cli.mesh.child import Child, ChildFailedError, Proof
from cli.mesh.environment import MODULES, environment
from cli.mesh.per_process import ProcessMesh
from cli.mesh.plan import OPERATOR, PRINCIPALS
from cli.mesh.target import files_of
from tests.testkit.tools import ROOT

PARTS = ("services", "gateway", "protos", "tests/golden/systems")
"""What an image holds of a tree, and the golden cases of that version."""
_MARK = "this is the release before"
_SAYS = f'\nimport sys as _sys\nprint("{_MARK}", file=_sys.stderr)\n'


def release_before(named: str) -> str:
    """Returns the commit of the newest tag of a version before this tree's commit; without any, the one that is named.
    Raises LookupError where the history is not here: of a shallow clone, or of an archive."""
    described = _git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^")
    commit = _git("rev-parse", "--verify", "--quiet", f"{described or named}^{{commit}}")
    if not commit or not _git("ls-tree", commit, "services"):
        raise LookupError(f"the history does not reach back to {described or named}")
    return commit


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def unpack(commit: str, folder: Path) -> Path:
    """Unpacks a version's programs, which say on their standard error that they are of it, and golden cases. Returns
    the folder."""
    archive = subprocess.run(["git", "archive", commit, *PARTS], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    for package in ("services", "gateway"):
        with (folder / package / "__init__.py").open("a", encoding="utf-8") as file:
            file.write(_SAYS)
    return folder


class MixedMesh(ProcessMesh):
    """A mesh of processes, each of this tree or of the version in `before`."""

    before = Path()

    async def put(self, names: Collection[str], *, is_before: bool) -> None:
        """Restarts services, one after another, as programs of this tree or of the version before."""
        for name in names:
            await self.stop(name)
            log = self.plan.data / "logs" / f"{name}.log"
            log.write_text("", encoding="utf-8")
            environ = environment(self.plan, name)
            if is_before:
                environ = self._of_before(environ)
            files = files_of(self.plan.endpoints(0), OPERATOR)
            proof = None if files is None else Proof(files, PRINCIPALS[name])
            self._children[name] = Child(name, MODULES[name], self.plan.address(name), environ, log, proof)
            try:
                await self.start(name)
            except ChildFailedError as error:
                raise AssertionError(f"{error}: {log.read_text(encoding='utf-8')[-500:]}") from None
            assert (_MARK in log.read_text(encoding="utf-8")) == is_before, f"{name} is of the other version"

    def _of_before(self, environ: dict[str, str]) -> dict[str, str]:
        """Returns the environment of a program of before: as its own manifests would have it, without settings that
        came later, which it would refuse as misspelt."""
        # The folder that it is started in, which is this tree's, comes not before.
        paths = {"PYTHONPATH": f"{self.before}:{self.before / 'protos'}", "PYTHONSAFEPATH": "1"}
        names = (self.before / "services/runtime/settings/names.py").read_text(encoding="utf-8").split('"""')[3].split()
        known = {key: value for key, value in environ.items() if key.removeprefix("HUTONG_") in names}
        return {key: value for key, value in environ.items() if not key.startswith("HUTONG_")} | known | paths
