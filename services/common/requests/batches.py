"""The rule for the size of a batch. Reason: BATCH_SIZE."""

from services.common.errors import invalid

MOST_IN_BATCH = 1_000


def check_batch(count: int, field: str, most: int = MOST_IN_BATCH) -> None:
    """Raises InvalidArgument (BATCH_SIZE) unless a batch has 1 to `most` items."""
    if not 1 <= count <= most:
        raise invalid(field, "BATCH_SIZE", f"每批应有1至{most}项", f"A batch has 1 to {most} items")
