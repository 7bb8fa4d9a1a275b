"""A directory for one server, which goes with whoever made it, also with one that is killed."""

import subprocess
import tempfile
from pathlib import Path

# Its standard input ends when the last who could write to it has: in good order, or killed. The process in the file is
# a PostgreSQL's; that it is the one of this directory is looked at, for its number may be another's by now.
_GUARD = """
cat > /dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2> /dev/null)
if [ -n "$pid" ] && grep -qa "$1" "/proc/$pid/cmdline" 2> /dev/null; then
    kill -QUIT "$pid"
    for _ in $(seq 100); do [ -e "/proc/$pid" ] && sleep 0.1; done
fi
rm -rf "$1"
"""


class Home:
    """An empty temporary directory at `path`. When this process ends without `remove`, whatever ends it, the PostgreSQL
    that runs on `data` within it is ended too."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self.path)],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A signal to the whole group, such as Ctrl-C, is not for the guard.
            start_new_session=True,
        )

    def remove(self) -> None:
        """Removes the directory, and ends what runs in it. Safe to call twice."""
        self._guard.communicate()
