"""The contents of a pass: a verdict for minutes, what a guard compares with a face, and no document's number.

A pass is an HCERT's envelope around claims of its own (CWT's private range), with the numbers of the contract's
enumerations for scene, word and colour (`hutong/verdict/v1`). Its keys are short: a QR code of version 15 at level M
must hold it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import cbor2

from services.certificates.cbor import CborMalformed, read_cbor
from services.certificates.claims import EXPIRES, ISSUED, ISSUER
from services.certificates.envelope import wrapped
from services.certificates.keys import VerifyingKey
from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.signature import signed_bytes

NONCE, PASS = 7, -65_700  # CWT's `cti`, and a claim of the private range
REGION, SCENE, WORD, COLOUR, UNTIL, INITIALS, BORN, GROUNDS = range(1, 9)

NONCE_BYTES = 8
DIGEST_BYTES = 8
"""Enough that no two records of a nation's year share one by chance: 2^-64 for a pair."""


def record_digest(region: str, source_id: str) -> bytes:
    """Returns the 8 bytes by which passes and revocations name a record."""
    return sha256(f"{region}/{source_id}".encode()).digest()[:DIGEST_BYTES]


def laboratory_digest(laboratory: str) -> bytes:
    """Returns the 8 bytes by which passes and revocations name a laboratory."""
    return sha256(laboratory.encode()).digest()[:DIGEST_BYTES]


@dataclass(frozen=True)
class RestsOn:
    """A record that the verdict of a pass rests on: its digest, its laboratory's, and when it was sampled (aware)."""

    record: bytes
    laboratory: bytes
    sampled_at: datetime


@dataclass(frozen=True)
class Pass:
    """A pass. Instants are aware, in whole seconds; `until` is when recognition ends, None where it does not by time.

    `initials` are of the holder's name as it is written, `born` is month and day (`01-02`): what a guard can compare.
    """

    region: str
    scene: int
    word: int
    colour: int
    until: datetime | None
    initials: str
    born: str
    rests_on: tuple[RestsOn, ...]
    nonce: bytes
    issued_at: datetime
    expires_at: datetime

    def encoded(self) -> bytes:
        """Returns the pass as CBOR."""
        body: dict[int, Any] = {
            REGION: int(self.region),
            SCENE: self.scene,
            WORD: self.word,
            COLOUR: self.colour,
            INITIALS: self.initials,
            BORN: self.born,
            GROUNDS: [[one.record, one.laboratory, int(one.sampled_at.timestamp())] for one in self.rests_on],
        }
        if self.until is not None:
            body[UNTIL] = int(self.until.timestamp())
        issued, expires = int(self.issued_at.timestamp()), int(self.expires_at.timestamp())
        return cbor2.dumps({ISSUER: "CN", EXPIRES: expires, ISSUED: issued, NONCE: self.nonce, PASS: body})


def read_pass(payload: bytes) -> Pass:
    """Returns the pass of a verified payload. Raises CertificateRefused; a certificate of a test is no pass."""
    try:
        decoded = read_cbor(payload)
    except CborMalformed as error:
        raise CertificateRefused(Reason.CLAIMS_MALFORMED, str(error)) from None
    if not isinstance(decoded, dict) or PASS not in decoded:
        raise CertificateRefused(Reason.NO_PASS)
    try:
        body = decoded[PASS]
        return Pass(
            region=f"{_whole(body[REGION]):06}",
            scene=_whole(body[SCENE]),
            word=_whole(body[WORD]),
            colour=_whole(body[COLOUR]),
            until=_instant(body[UNTIL]) if UNTIL in body else None,
            initials=_text(body[INITIALS]),
            born=_text(body[BORN]),
            rests_on=tuple(RestsOn(_bytes(a), _bytes(b), _instant(c)) for a, b, c in body[GROUNDS]),
            nonce=_bytes(decoded[NONCE]),
            issued_at=_instant(decoded[ISSUED]),
            expires_at=_instant(decoded[EXPIRES]),
        )
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise CertificateRefused(Reason.CLAIMS_MALFORMED, type(error).__name__) from None


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError
    return value


def _instant(value: object) -> datetime:
    return datetime.fromtimestamp(_whole(value), UTC)


def issue_pass(contents: Pass, key: bytes, signer: VerifyingKey) -> str:
    """Returns the text of a pass, signed with a private key (PEM). Raises ValueError where that is another's."""
    return wrapped(signed_bytes(contents.encoded(), key, signer))
