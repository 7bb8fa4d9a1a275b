"""The gate: it checks passes with no network, fails closed, and says which of its own or the pass's faults it is."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.certificates.envelope import unwrapped
from services.certificates.keys import KeyRing
from services.certificates.passes.bundle import Bundle, read_bundle, root_key
from services.certificates.passes.contents import Pass, read_pass
from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.signature import verified_payload

CLOCK_TOLERANCE = timedelta(minutes=2)
REMEMBERED = 100_000
"""So many passes a gate remembers, the newest: a day's at one a second, and a pass lives for minutes."""
SCANNED_TWICE = timedelta(seconds=5)
"""A camera reads what it is shown several times; later than this it is another showing."""


@dataclass(frozen=True)
class GateRules:
    """The rules of a gate: the region and scene that it stands in (0: a place of no published kind, which general
    passes are for), and how old its keys may be."""

    region: str
    scene: int
    keys_may_be: timedelta = timedelta(days=3)


class Gate:
    """A gate with a bundle, and the roots whose bundles it takes. It keeps the nonces of the passes that it saw, so
    that a picture of one is noticed."""

    def __init__(self, rules: GateRules, bundle: Bundle | None = None, roots: Sequence[bytes] = ()) -> None:
        """`roots` came with the gate: SubjectPublicKeyInfo, DER. Raises ValueError for what is none."""
        self._roots = tuple(root_key(root) for root in roots)
        self._rules = rules
        self._bundle = bundle
        self._seen: OrderedDict[bytes, datetime] = OrderedDict()

    @property
    def bundle(self) -> Bundle | None:
        """Returns what the gate knows."""
        return self._bundle

    @property
    def roots(self) -> tuple[bytes, ...]:
        """Returns the roots whose bundles it takes now: those that the last one named."""
        return tuple(root.encoded for root in self._roots)

    def take_signed(self, encoded: bytes) -> None:
        """Takes a bundle that one of the roots signed. Raises CertificateRefused for another, and as `take`."""
        bundle = read_bundle(encoded, KeyRing(self._roots))
        self.take(bundle)
        if bundle.roots:
            self._roots = tuple(map(root_key, bundle.roots))

    def take(self, bundle: Bundle) -> None:
        """Takes a bundle. Raises CertificateRefused for one that is not later, or follows another than the gate has."""
        if self._bundle is None and bundle.after != 0:
            raise CertificateRefused(Reason.BUNDLE_OUT_OF_ORDER, "a gate's first bundle is a whole one")
        self._bundle = bundle if self._bundle is None else self._bundle.followed_by(bundle)

    def check(self, text: str, now: datetime) -> Pass:
        """Returns a pass that is believed at the gate's clock (aware). Raises CertificateRefused with the reason.

        Of a pass that is believed the guard still looks at word and colour: it proves a verdict, not a good one.
        """
        bundle = self._usable(now)
        payload, key = verified_payload(unwrapped(text), KeyRing(bundle.keys))
        presented = read_pass(payload)
        if presented.issued_at > now + CLOCK_TOLERANCE:
            raise CertificateRefused(Reason.NOT_YET_VALID)
        if presented.expires_at < now:
            raise CertificateRefused(Reason.EXPIRED)
        if not key.in_force(now):
            raise CertificateRefused(Reason.SIGNER_NOT_IN_FORCE)
        if presented.region != key.region:
            raise CertificateRefused(Reason.ISSUER_WRONG)
        if presented.region != self._rules.region:
            raise CertificateRefused(Reason.OTHER_REGION, presented.region)
        if presented.scene != self._rules.scene:
            # A place may ask for more than the general rules do, and a guard cannot judge by how much.
            raise CertificateRefused(Reason.OTHER_SCENE if presented.scene else Reason.SCENE_MISSING)
        if any(bundle.voids(ground) for ground in presented.rests_on):
            raise CertificateRefused(Reason.REVOKED)
        self._remember(presented, now)
        return presented

    def _usable(self, now: datetime) -> Bundle:
        if self._bundle is None or not self._bundle.keys:
            raise CertificateRefused(Reason.KEYS_MISSING)
        if now < self._bundle.made_at - CLOCK_TOLERANCE:
            raise CertificateRefused(Reason.CLOCK_OFF, f"keys of {self._bundle.made_at.isoformat()}")
        if now > self._bundle.made_at + self._rules.keys_may_be:
            raise CertificateRefused(Reason.KEYS_TOO_OLD, f"keys of {self._bundle.made_at.isoformat()}")
        return self._bundle

    def _remember(self, presented: Pass, now: datetime) -> None:
        first = self._seen.get(presented.nonce)
        if first is not None and now - first > SCANNED_TWICE:
            raise CertificateRefused(Reason.PASS_USED)
        if first is None:
            if len(self._seen) >= REMEMBERED:
                self._seen.popitem(last=False)
            self._seen[presented.nonce] = now
