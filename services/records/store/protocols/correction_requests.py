"""Correction requests that were kept, as laboratories and the people who made them read them."""

from collections.abc import Collection, Sequence
from typing import Protocol

from services.records.domain.correction_requests import CorrectionRequestCount, StoredCorrectionRequest
from services.records.domain.revisions import PersonRecord, RecordId


class CorrectionRequestLog(Protocol):
    """The correction requests of one store."""

    async def correction_requests(
        self, region: str, laboratories: Collection[str], after: int, most: int, answered_too: bool
    ) -> Sequence[StoredCorrectionRequest]:
        """Returns requests about a region's records numbered above `after`, in order; of these laboratories, where any
        are named."""

    async def correction_request(self, correction_request_id: str) -> StoredCorrectionRequest | None:
        """Returns one request, None where there is none."""

    async def correction_requests_of(self, person_keys: Collection[bytes]) -> Sequence[StoredCorrectionRequest]:
        """Returns the newest MOST_OF_PERSON requests of a person, newest first."""

    async def late_result_requests(self, records: Collection[RecordId]) -> Sequence[StoredCorrectionRequest]:
        """Returns the requests for late results about these records, whoever asked, oldest first."""

    async def correction_request_counts(self, region: str) -> Sequence[CorrectionRequestCount]:
        """Returns how many requests there are about a region's records, by laboratory and kind."""

    async def newest_revision(self, record: PersonRecord) -> int:
        """Returns the number of the newest revision that a person has, or had, under an id; 0 where there is none."""
