"""A store's person keys are moved to another version of the mesh's secret, a little at a time, while it is served.

A person's keys are moved in one transaction: at any instant all that a store has of them is under one version. Who
reads asks for the keys of every version that may be there, and notices by `moved` when some were moved meanwhile.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from services.common.documents import PersonKeys
from services.common.errors import ServiceError, Unavailable
from services.common.identities import OTHER_SECRET
from services.common.mesh_secret import FINGERPRINT_BYTES, MeshSecret
from services.runtime.metrics import OLDER_KEYS
from services.runtime.settings.secret_file import SecretFile

log = logging.getLogger("hutong.storage.keys")

PEOPLE_AT_ONCE = 50
"""The people whose keys are moved in one transaction."""
LOOK_SECONDS = 1.0
"""How often a process looks which keys its store has."""
SETTLE_SECONDS = 3 * LOOK_SECONDS
"""After a store begins to be moved: by then everybody who serves it has looked."""
REST_SHARE = 1.0
"""How long nothing is moved after a transaction, as a share of the time that it took."""
AGAIN_SECONDS = 5.0
"""After a store could not be asked."""


class KeyState(NamedTuple):
    """The keys of a store: the fingerprint and the number of the version that it writes, the number 0 where only the
    fingerprint tells it; how often keys were moved; and the fingerprints, one after another, of versions of which some
    may be left."""

    fingerprint: bytes
    version: int
    moved: int
    older_secrets: bytes

    @property
    def moving(self) -> bool:
        """Tells that keys of older versions may be left."""
        return bool(self.older_secrets)

    @property
    def older(self) -> list[bytes]:
        """The fingerprints of those versions."""
        size = FINGERPRINT_BYTES
        return [self.older_secrets[at : at + size] for at in range(0, len(self.older_secrets), size)]


def older_with(state: KeyState, fingerprint: bytes) -> list[bytes]:
    """Returns the fingerprints of the versions of which keys may be left, once one with this fingerprint is written."""
    return sorted({state.fingerprint, *state.older} - {fingerprint})


class KeyMoves(Protocol):
    """A store whose keys can be moved. Its methods raise Unavailable."""

    async def key_state(self) -> KeyState:
        """Returns which keys it has."""

    async def begin_key_move(self, fingerprint: bytes, version: int) -> None:
        """From now on it writes keys of this version, and older ones may be left."""

    async def older_people(self, version: int, most: int) -> Sequence[Sequence[bytes]]:
        """Returns some of the people whose keys are of another version: all keys of each that are moved together. None
        when none are left."""

    async def move_keys(self, moves: Mapping[bytes, bytes]) -> None:
        """Puts new keys in the place of old ones wherever they stand, in one transaction. Keys that stand nowhere are
        passed over."""

    async def end_key_move(self, version: int) -> bool:
        """Notes that no keys of other versions are left, if so; returns whether."""


class KeyVersions:
    """The versions of the keys in a store as a process has seen them; says which keys it asks for."""

    def __init__(self, store: KeyMoves, secret: SecretFile) -> None:
        self._store = store
        self._secret = secret
        self._state: KeyState | None = None
        self._version = 0

    @property
    def keys(self) -> PersonKeys:
        """The keys of this process."""
        return self._secret.keys

    @property
    def older(self) -> Sequence[bytes]:
        """The fingerprints of versions, other than the one that is current, whose keys may still be in the store; as
        far as is known, all."""
        secret = self._secret.current()
        if self._state is None:
            return sorted(secret.fingerprints - {secret.fingerprint()})
        stored = {self._state.fingerprint, *self._state.older}
        return sorted(stored - {secret.fingerprint()})

    async def look(self) -> KeyState:
        """Returns which keys the store has, as it is asked now. Raises Unavailable (OTHER_SECRET) where it writes keys
        of a version that is not known here."""
        state = await self._store.key_state()
        self._version = _version_of(state, self._secret)
        self._state = state
        return state

    async def known(self) -> KeyState:
        """Returns which keys the store had when this process last looked."""
        return self._state if self._state is not None else await self.look()

    @property
    def written(self) -> int:
        """The version that the store writes, as last seen."""
        return self._version

    def plain(self, state: KeyState) -> bool:
        """Tells that all keys in the store are this process's own: nothing needs to be changed."""
        return not state.moving and self._version == self.keys.version

    def asked(self, state: KeyState, key: bytes) -> list[bytes]:
        """Returns the keys under which a person may stand in the store."""
        if state.moving:
            return self.keys.under_every_version(key)
        return [self.keys.under(self._version, key)]

    def write(self, key: bytes) -> bytes:
        """Returns a person's key as the store writes it."""
        return self.keys.under(self._version, key)


def _version_of(state: KeyState, file: SecretFile) -> int:
    if not state.fingerprint:
        # Nobody has noted whose it is: keys were never moved.
        return file.keys.version
    for at_once in (False, True):
        file.current(at_once=at_once)
        version = file.known.get(state.fingerprint)
        if version is not None and all(older in file.known for older in state.older):
            return version
    raise Unavailable(
        OTHER_SECRET,
        "库中的人员标识以本进程没有的密钥版本生成",
        "The store's person keys are made under a version of the mesh's secret that this process does not have",
    )


class KeyMover:
    """Moves the keys of a store to the version that the secret calls current, whenever that is a later one than the
    store's. Killed, it goes on where it was; several at once do no harm."""

    def __init__(self, name: str, versions: KeyVersions, store: KeyMoves, secret: SecretFile) -> None:
        self._name = name
        self._versions = versions
        self._store = store
        self._secret = secret

    async def run(self) -> None:
        """Looks once a second, and moves what there is to move, until cancelled."""
        while True:
            try:
                await self.step()
            except (ServiceError, ValueError) as error:
                log.warning("moving person keys: %s", error, extra={"store": self._name})
                await asyncio.sleep(AGAIN_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    async def step(self) -> int:
        """Moves all there is to move; returns the number of people."""
        secret = self._secret.current()
        state = await self._versions.look()
        begins = secret.current > self._versions.written
        if begins:
            await self._begin(secret)
            state = await self._versions.look()
        OLDER_KEYS.labels(self._name).set(state.moving)
        if not state.moving:
            return 0
        await asyncio.sleep(SETTLE_SECONDS)
        total = 0
        while moved := await self._slice():
            total += moved
        await self._versions.look()
        OLDER_KEYS.labels(self._name).set(self._versions.older != ())
        log.info("moved the keys of %d people", total, extra={"store": self._name, "now": self._versions.written})
        return total

    async def _begin(self, secret: MeshSecret) -> None:
        await self._store.begin_key_move(secret.fingerprint(), secret.current)
        log.info("begins to move person keys", extra={"store": self._name, "now": secret.current})

    async def _slice(self) -> int:
        began = time.monotonic()
        written, keys = self._versions.written, self._versions.keys
        people = await self._store.older_people(written, PEOPLE_AT_ONCE)
        if not people and await self._store.end_key_move(written):
            return 0
        await self._store.move_keys({key: keys.under(written, key) for person in people for key in person})
        await asyncio.sleep(REST_SHARE * (time.monotonic() - began))
        return max(1, len(people))
