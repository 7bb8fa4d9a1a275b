"""The counts of an import, row by row."""

from dataclasses import dataclass, fields

from hutong.records.v1.intake_service_pb2 import StreamRecordsResponse
from hutong.records.v1.record_write_service_pb2 import SubmitOutcome


@dataclass(slots=True)
class Tally:
    """Counts of rows. `acknowledged` rows are durable or were judged by the store; the rest are its parts and
    `unreadable`, the rows that were never sent."""

    created: int = 0
    unchanged: int = 0
    result_added: int = 0
    amended: int = 0
    retracted: int = 0
    already_retracted: int = 0
    conflict: int = 0
    refused: int = 0
    unreadable: int = 0

    @property
    def rows(self) -> int:
        """All rows dealt with."""
        return self.good + self.bad

    @property
    def good(self) -> int:
        """Rows that stand in the store as they are in the file, or are withdrawn there."""
        return (
            self.created + self.unchanged + self.result_added + self.amended + self.retracted + self.already_retracted
        )

    @property
    def bad(self) -> int:
        """Rows that are in the report."""
        return self.conflict + self.refused + self.unreadable

    def count(self, response: StreamRecordsResponse) -> None:
        """Adds a batch's outcomes."""
        self.created += response.created
        for row in response.rows:
            match row.outcome:
                case SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED:
                    self.unchanged += 1
                case SubmitOutcome.SUBMIT_OUTCOME_RESULT_ADDED:
                    self.result_added += 1
                case SubmitOutcome.SUBMIT_OUTCOME_AMENDED:
                    self.amended += 1
                case SubmitOutcome.SUBMIT_OUTCOME_RETRACTED:
                    self.retracted += 1
                case SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED:
                    self.already_retracted += 1
                case SubmitOutcome.SUBMIT_OUTCOME_CONFLICT:
                    self.conflict += 1
                case SubmitOutcome.SUBMIT_OUTCOME_REFUSED:
                    self.refused += 1
                case unknown:
                    raise ValueError(f"outcome {unknown} is not of this contract")

    def add(self, other: "Tally") -> None:
        """Adds another's counts."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
