"""The policies in use: loaded from a directory, looked at about once a second, the last good set kept.

A change is taken whole or not at all: one bad file, an overlap, or an edit to a policy in force, and everything stays
as it was, while the log, a metric and the health component `policies` say why.
"""

import asyncio
import logging
from bisect import bisect_right
from hashlib import sha256
from operator import itemgetter
from pathlib import Path

from msgspec import Struct

from services.common.instants import SECOND, Instant
from services.runtime.clock import Clock
from services.runtime.rpc.health import Degraded
from services.verdict import metrics
from services.verdict.domain.policy.policy_set import PolicySet
from services.verdict.policy.allowed_edits import edits_refused
from services.verdict.policy.files import LoadedPolicy, assemble, decoded, parse_policy, policy_paths, read_bytes
from services.verdict.policy.yaml_document import PolicyFileError

log = logging.getLogger("hutong.verdict.policies")

MOST_AHEAD = SECOND
"""How far other clocks may be ahead of this one, in microseconds."""

FileStates = tuple[tuple[str, int, int], ...]
"""Path, modification time in nanoseconds and size of every file: when it is the same, nothing has changed."""


class PolicyFiles(Struct, frozen=True):
    """A set of policies with the files it was read from, by policy id and by the digest of path and content."""

    policies: PolicySet
    by_id: dict[str, LoadedPolicy]
    parsed: dict[bytes, LoadedPolicy]


class PolicyRegistry:
    """Keeps the set in use and where it came from. Raises PolicyFileError or OSError when the first set cannot be
    loaded."""

    def __init__(self, directory: Path, clock: Clock, poll: float = 1.0) -> None:
        self._directory = directory
        self._clock = clock
        self._poll = poll
        self._problem = ""
        self._seen: FileStates = self._file_states()
        self._latest_judged = Instant(0)
        self._history: list[tuple[Instant, PolicySet]] = []
        self._files = PolicyFiles(PolicySet([]), {}, {})
        self._take(self._load())

    @property
    def policies(self) -> PolicySet:
        """Returns the set in use."""
        return self._files.policies

    def as_known(self, known_at: Instant) -> PolicySet:
        """Returns the set that was in use at an instant; for one before the first was loaded, the first: what another
        process used then this one cannot know."""
        self._latest_judged = max(self._latest_judged, known_at)
        if known_at >= self._loaded_at:
            return self.policies
        place = bisect_right(self._history, known_at, key=itemgetter(0))
        return self._history[max(0, place - 1)][1]

    @property
    def loaded_at(self) -> Instant:
        """Returns when it was loaded."""
        return self._loaded_at

    def yaml(self, policy_id: str) -> str:
        """Returns the text of the file that a policy in use came from. Raises KeyError."""
        return self._files.by_id[policy_id].text

    def _file_states(self) -> FileStates:
        states = []
        for path in policy_paths(self._directory):
            stat = path.stat()
            states.append((str(path), stat.st_mtime_ns, stat.st_size))
        return tuple(states)

    def _load(self) -> PolicyFiles:
        parsed: dict[bytes, LoadedPolicy] = {}
        for path in policy_paths(self._directory):
            content = read_bytes(path)
            digest = sha256(str(path).encode() + b"\0" + content).digest()
            parsed[digest] = self._files.parsed.get(digest) or parse_policy(decoded(content, path), path)
        return PolicyFiles(
            assemble(parsed.values()), {item.policy.ref.policy_id: item for item in parsed.values()}, parsed
        )

    def _take(self, files: PolicyFiles) -> None:
        self._files = files
        # Later than whatever was judged by the set before, by a lookup's clock that may be a little ahead.
        now = self._clock()
        self._loaded_at = Instant(max(now, min(self._latest_judged, now + MOST_AHEAD) + 1))
        self._history.append((self._loaded_at, files.policies))
        metrics.LOADED.set(self._loaded_at / SECOND)
        metrics.STALE.set(0)

    def refresh(self) -> bool:
        """Looks at the directory once; says whether another set is in use now. Never raises for what it finds there."""
        return self._apply(self._read())

    def _read(self) -> PolicyFiles | str | None:
        """Reads the files where they have changed: what can be used, or why it cannot, or None where nothing changed.
        Changes nothing but what was seen, so that it may run beside the event loop."""
        try:
            states = self._file_states()
            if states == self._seen:
                return None
            self._seen = states
            files = self._load()
            for refused in edits_refused(self._files.by_id, files.by_id, self._clock()):
                raise refused
        except OSError as error:
            # It may come back as it was, which is then news.
            self._seen = ()
            return str(error)
        except PolicyFileError as error:
            return str(error)
        except Exception as error:
            # Whatever a file does to its reader, the next look must still come.
            log.exception("policies could not be read")
            return f"could not be read: {type(error).__name__}"
        return files

    def _apply(self, reading: PolicyFiles | str | None) -> bool:
        if reading is None:
            return False
        if isinstance(reading, str):
            self._keep(reading)
            return False
        self._problem = ""
        changed = reading.policies.digests != self.policies.digests
        self._take(reading)
        metrics.RELOADS.labels("TAKEN").inc()
        log.info("policies reloaded", extra={"policies": len(reading.by_id), "changed": changed})
        return changed

    def _keep(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        metrics.STALE.set(1)
        metrics.RELOADS.labels("REFUSED").inc()
        log.error("policies not reloaded, the last good set is kept", extra={"trouble": problem})

    async def watch(self) -> None:
        """Looks at the directory for ever; files are read and parsed beside the event loop, for a large one takes
        long."""
        while True:
            await asyncio.sleep(self._poll)
            self._apply(await asyncio.to_thread(self._read))

    async def ping(self) -> None:
        """Raises Degraded while the files cannot be used: the last good set still serves."""
        if self._problem:
            raise Degraded(f"the last good set is kept: {self._problem}")
