"""The admission: what is asked is checked, and a document becomes a person key. Its number goes no further."""

from collections.abc import Iterable
from functools import partial

from hutong.common.v1.subject_pb2 import Document, Purpose
from hutong.gateway.v1.health_code_service_pb2 import HealthCodeQuery
from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1.scene_pb2 import Scene

from gateway.codes.query import CodeQuery
from services.common.birth_dates import born_text
from services.common.documents import PersonKeys
from services.common.errors import Text, Violation
from services.common.regions import divisions
from services.common.requests import checks, fields
from services.common.requests.instants import read_instant, read_known_at
from services.common.requests.violations import Violations
from services.runtime.rpc.call import current_call, note_person

_SCENES = frozenset(Scene.values())
_SCOPES = frozenset((Scope.SCOPE_UNSPECIFIED, Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL))


def _about_now(message: HealthCodeQuery, path: str) -> Iterable[Violation]:
    """Yields what is wrong with a venue's question about another instant: one after the other, those would tell it a
    person's past."""
    if current_call().purpose != Purpose.PURPOSE_VENUE_CHECK:
        return
    for name in ("at", "known_at"):
        if message.HasField(name):
            text = Text("场所只可查验此刻的码", "A venue asks about now")
            yield Violation(f"{path}{name}", "VENUE_ASKS_NOW", text)


class Admission:
    """Admits queries under the mesh's secret."""

    def __init__(self, keys: PersonKeys) -> None:
        self._keys = keys
        self._regions = frozenset(divisions())

    def person(self, document: Document, field: str = "document") -> bytes:
        """Returns the person key of a document. Raises InvalidArgument as PersonKeys.of does."""
        return self._key(document, field)

    def _key(self, document: Document, field: str) -> bytes:
        key = self._keys.of(document, field)
        note_person(key)
        return key

    def every_key(self, person: bytes) -> list[str]:
        """Returns a person's keys under every version of the mesh's secret that is known, hexadecimal."""
        return [key.hex() for key in self._keys.under_every_version(person)]

    def query(self, message: HealthCodeQuery, path: str = "", prior: Iterable[Violation] = ()) -> CodeQuery:
        """Admits one query. Raises InvalidArgument naming every wrong field below `path`, which ends in a dot or is
        empty, after those found `prior`: REGION_REQUIRED, REGION_UNKNOWN, SCOPE_UNKNOWN, SCENE_UNKNOWN,
        INSTANT_RANGE, VENUE_ASKS_NOW, and those of the document."""
        region, scope = message.region, message.scope
        now = not (prior or message.HasField("at") or message.HasField("known_at"))
        scene = message.scene
        if now and region in self._regions and scope in _SCOPES and scene in _SCENES:
            # The common case, of which only the document can be wrong.
            document = message.document
            person = self._key(document, f"{path}document")
            return CodeQuery(person, region, scope, None, message.refresh, scene=scene, born=born_text(document))
        violations = Violations(prior)
        person = violations.read(b"", partial(self._key, message.document, f"{path}document"))
        violations.add(fields.region(region, f"{path}region"))
        violations.add(fields.scope(scope, f"{path}scope"))
        violations.add(checks.scene(scene, f"{path}scene"))
        violations.add(_about_now(message, path))
        at = known_at = None
        if message.HasField("at"):
            at = violations.read(None, partial(read_instant, message.at, f"{path}at"))
        if message.HasField("known_at"):
            known_at = violations.read(None, partial(read_known_at, message.known_at, f"{path}known_at"))
        violations.refuse()
        return CodeQuery(person, region, scope, at, message.refresh, known_at, path, scene, born_text(message.document))
