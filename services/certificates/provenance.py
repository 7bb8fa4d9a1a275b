"""The provenance of a certificate: which record of the issuing region it proves, and what the schema has no field for.

Whoever reads the certificate elsewhere keeps the result as a copy of that record, so that a correction of the one
reaches the other. Whose it is is sealed: only the mesh can open it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

REGION, SOURCE_ID, REVISION, REPORTED, TUBE, LABORATORY, SITE, HOLDER = range(1, 9)
MOST_TEXT = 200
"""Longer texts are in no record."""


@dataclass(frozen=True)
class Provenance:
    """The record that a certificate proves, with its revision. `reported_at` is aware; `tube` and `site` are as in the
    contract of records; `holder` is a sealed person key."""

    region: str
    source_id: str
    revision: int
    reported_at: datetime
    tube: int
    laboratory: str
    site: str
    holder: bytes

    def encoded(self) -> dict[int, Any]:
        """Returns the claim, to be written as CBOR."""
        return {
            REGION: int(self.region),
            SOURCE_ID: self.source_id,
            REVISION: self.revision,
            REPORTED: int(self.reported_at.timestamp()),
            TUBE: self.tube,
            LABORATORY: self.laboratory,
            SITE: self.site,
            HOLDER: self.holder,
        }


def read_provenance(claim: Any) -> Provenance:
    """Returns the provenance of a decoded claim. Raises TypeError, LookupError, ValueError or OverflowError."""
    if not isinstance(claim, dict):
        raise TypeError
    return Provenance(
        region=f"{_whole(claim[REGION]):06}",
        source_id=_text(claim[SOURCE_ID]),
        revision=_whole(claim[REVISION]),
        reported_at=_instant(claim[REPORTED]),
        tube=_whole(claim[TUBE]),
        laboratory=_text(claim[LABORATORY]),
        site=_text(claim[SITE]),
        holder=_bytes(claim[HOLDER]),
    )


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    if not 0 <= value < 2**31:
        raise ValueError
    return value


def _instant(value: Any) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return datetime.fromtimestamp(value, UTC)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not 0 < len(value) <= MOST_TEXT:
        raise ValueError
    return value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError
    return value
