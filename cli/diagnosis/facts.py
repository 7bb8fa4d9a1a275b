"""The words of a mesh's services about themselves, as a diagnosis needs them. Values alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hutong.common.v1.identity_pb2 import StoreIdentity

from services.common.instants import Instant


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """One answer of a store: who it says it is, up to when it has everything, and the instants, by the clock of whoever
    asked, between which it was given."""

    identity: StoreIdentity
    as_of: Instant | None
    asked_at: Instant
    answered_at: Instant


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The answers of a store asked several times, each over a connection of its own; `error` is why one failed."""

    name: str
    address: str
    answers: Sequence[StoreAnswer] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class LookupFacts:
    """Lookup's list of members: its version and the addresses by name; `error` is why it could not be had."""

    address: str
    version: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    identity: StoreIdentity | None = None


@dataclass(frozen=True, slots=True)
class VerdictFacts:
    """The policies in use: the regions that have any, and the program's version; `error` is why that could not be
    had."""

    address: str
    regions: frozenset[str] = frozenset()
    program_version: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """The state of the gateway's components, by name, whose news it hears, the version of the secret that it goes by
    and that of the program; `error` is why that could not be had."""

    address: str
    components: Mapping[str, str] = field(default_factory=dict)
    feeds: frozenset[str] = frozenset()
    secret_version: int | None = None
    program_version: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """The certificate that a service showed at an instant, by the clock of whoever asked, and when it begins and
    ends."""

    name: str
    seen_at: Instant
    begins_at: Instant
    ends_at: Instant


@dataclass(frozen=True, slots=True)
class MeshFacts:
    """Everything that a diagnosis rests on. None: there was no address to ask at."""

    stores: Sequence[StoreFacts]
    lookup: LookupFacts | None = None
    verdict: VerdictFacts | None = None
    gateway: GatewayFacts | None = None
    certificates: Sequence[CertificateFacts] = ()
