"""The trust bundle: the keys, the signed time and the revocations that a gate needs to check passes with no network.

A laboratory whose results of an interval are void is one line, however many results that are. A bundle may follow
another: it then holds the revocations that came since, and is taken by a gate that has that other one. The keys are
always all of them.
"""

import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from services.certificates.cbor import read_cbor
from services.certificates.keys import KEY_ID_BYTES, KeyRing, PublicKey, VerifyingKey, usable
from services.certificates.passes.contents import RestsOn
from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.signature import signed_bytes, verified_payload

MAX_BUNDLE_BYTES = 1_000_000
ROOT_REGION = "000000"
MADE, NUMBER, AFTER, KEYS, RECORDS, LABORATORIES, ROOTS = range(1, 8)


@dataclass(frozen=True)
class PassKey:
    """A key that signs a region's passes, between two instants (aware, both included)."""

    region: str
    public_key: PublicKey
    begins_at: datetime
    ends_at: datetime

    @cached_property
    def key_id(self) -> bytes:
        """Returns the first 8 bytes of the SHA-256 of the key (SubjectPublicKeyInfo, DER)."""
        return sha256(self.encoded).digest()[:KEY_ID_BYTES]

    @cached_property
    def encoded(self) -> bytes:
        """Returns the key as SubjectPublicKeyInfo in DER."""
        return self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def in_force(self, at: datetime) -> bool:
        """Tells if the key signs passes at an instant (aware)."""
        return self.begins_at <= at <= self.ends_at


@dataclass(frozen=True)
class VoidInterval:
    """A laboratory whose results are void, of samples from an instant on and before another (aware)."""

    laboratory: bytes
    sampled_from: datetime
    sampled_before: datetime

    def covers(self, ground: RestsOn) -> bool:
        """Tells if a record that a pass rests on is void by it."""
        return self.laboratory == ground.laboratory and self.sampled_from <= ground.sampled_at < self.sampled_before


@dataclass(frozen=True)
class Bundle:
    """A bundle. `number` counts up; `after` is that of the bundle which this one follows, 0 for one that is whole.

    `made_at` is the issuer's clock (aware): a gate's clock that is behind it is wrong.
    """

    number: int
    after: int
    made_at: datetime
    keys: tuple[PassKey, ...]
    void_records: frozenset[bytes]
    void_intervals: tuple[VoidInterval, ...]
    roots: tuple[bytes, ...] = ()
    """The roots whose bundles are believed from this one on (SubjectPublicKeyInfo, DER); none: those that were."""

    def voids(self, ground: RestsOn) -> bool:
        """Tells if a record that a pass rests on is void."""
        return ground.record in self.void_records or any(interval.covers(ground) for interval in self.void_intervals)

    def followed_by(self, later: "Bundle") -> "Bundle":
        """Returns what a gate knows when it has taken a later bundle. Raises CertificateRefused for one that does not
        fit."""
        if later.number <= self.number or later.after not in (0, self.number):
            here = f"bundle {later.number}, after {later.after}; here is {self.number}"
            raise CertificateRefused(Reason.BUNDLE_OUT_OF_ORDER, here)
        if later.after == 0:
            return later
        return replace(
            later,
            after=self.after,
            void_records=self.void_records | later.void_records,
            void_intervals=(*self.void_intervals, *later.void_intervals),
        )

    def encoded(self, key: bytes, root: VerifyingKey) -> bytes:
        """Returns the bundle, signed with the private key (PEM) of a root, compressed."""
        body: dict[int, Any] = {
            MADE: int(self.made_at.timestamp()),
            NUMBER: self.number,
            AFTER: self.after,
            KEYS: [
                [int(one.region), one.encoded, int(one.begins_at.timestamp()), int(one.ends_at.timestamp())]
                for one in self.keys
            ],
            RECORDS: b"".join(sorted(self.void_records)),
            LABORATORIES: [
                [one.laboratory, int(one.sampled_from.timestamp()), int(one.sampled_before.timestamp())]
                for one in self.void_intervals
            ],
        }
        if self.roots:
            body[ROOTS] = list(self.roots)
        return zlib.compress(signed_bytes(cbor2.dumps(body), key, root), 9)


def read_bundle(encoded: bytes, roots: KeyRing[PassKey]) -> Bundle:
    """Returns the bundle that one of the roots signed. Raises CertificateRefused."""
    inflater = zlib.decompressobj()
    try:
        signed = inflater.decompress(encoded, MAX_BUNDLE_BYTES)
    except zlib.error as error:
        raise CertificateRefused(Reason.COMPRESSION_MALFORMED) from error
    if inflater.unconsumed_tail:
        raise CertificateRefused(Reason.CERTIFICATE_TOO_LARGE, f"more than {MAX_BUNDLE_BYTES} bytes within")
    payload, _ = verified_payload(signed, roots)
    try:
        body: dict[int, Any] = read_cbor(payload)
        records = body[RECORDS]
        return Bundle(
            number=body[NUMBER],
            after=body[AFTER],
            made_at=_instant(body[MADE]),
            keys=tuple(_key(*key) for key in body[KEYS]),
            void_records=frozenset(records[start : start + 8] for start in range(0, len(records), 8)),
            void_intervals=tuple(VoidInterval(a, _instant(b), _instant(c)) for a, b, c in body[LABORATORIES]),
            roots=tuple(one.encoded for one in map(root_key, body.get(ROOTS, ()))),
        )
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise CertificateRefused(Reason.CLAIMS_MALFORMED, type(error).__name__) from None


def root_key(encoded: bytes) -> PassKey:
    """Returns a root by its public key (SubjectPublicKeyInfo, DER). Raises ValueError."""
    return PassKey(ROOT_REGION, usable(load_der_public_key(encoded)), _instant(0), _instant(0))


def _key(region: int, encoded: bytes, begins: int, ends: int) -> PassKey:
    return PassKey(f"{region:06}", usable(load_der_public_key(encoded)), _instant(begins), _instant(ends))


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
