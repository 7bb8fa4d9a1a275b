"""A question about one person's code, once the person is known by key."""

import re
from dataclasses import replace
from typing import NamedTuple

from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1.scene_pb2 import Scene

from gateway.codes.cache.protocol import Key
from services.common.errors import ServiceError
from services.common.instants import Instant

_IN_BATCH = re.compile(r"^queries\[\d+\]\.")
"""Where a query stands among those that are computed together."""


class CodeQuery(NamedTuple):
    """One question about one person. `at` and `known_at` None mean now; only answers for now are cached. `path` is
    where the query stands in its request, for the names of wrong fields: it ends in a dot or is empty. `born` is the
    date of birth that the document tells, YYYY-MM-DD; it goes to the judge and is kept nowhere."""

    person: bytes
    region: str
    scope: Scope.ValueType = Scope.SCOPE_UNSPECIFIED
    at: Instant | None = None
    refresh: bool = False
    known_at: Instant | None = None
    path: str = ""
    scene: Scene.ValueType = Scene.SCENE_UNSPECIFIED
    born: str = ""

    @property
    def past(self) -> bool:
        """Tells whether it asks for another instant than now, or as known at one."""
        return self.at is not None or self.known_at is not None

    @property
    def key(self) -> Key:
        """The cache keeps its answer under this key. Of one person key every document tells the same date of birth, so
        the key stands for that as well; until when an answer holds knows the birthday."""
        if not self.scene:
            return (self.person, f"{self.region}{self.scope}")
        return (self.person, f"{self.region}{self.scope}/{self.scene}")


def renamed(error: ServiceError, path: str) -> ServiceError:
    """Names the fields that the verdict service refused as the request has them in which the query came."""
    if not error.violations:
        return error
    violations = [replace(one, field=_IN_BATCH.sub(path, one.field, 1)) for one in error.violations]
    return ServiceError(error.code, error.reason, error.text, violations)
