"""The weights of what the gateway is asked, the same over every transport."""

from services.runtime.resilience.overload import Weight

HEAVY = frozenset(
    {
        "BatchShowHealthCodes",
        "CheckDestinations",
        "ListResults",
        "BatchListResults",
        "ListHolderCorrectionRequests",
        "ListAccesses",
    }
)
"""The methods of HealthCodeService that ask for many codes, or many sources."""


def weight_of(method: str) -> Weight:
    """Returns the weight of a method of HealthCodeService."""
    return Weight.HEAVY if method in HEAVY else Weight.LIGHT
