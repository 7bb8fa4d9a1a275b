"""The weights of what the gateway is asked, the same over every transport."""

from hutong.common.v1.subject_pb2 import Purpose

from services.runtime.resilience.overload import Weight

HEAVY = frozenset(
    """
    BatchShowHealthCodes CheckDestinations ListResults BatchListResults ListAccesses ListHolderCorrectionRequests
    ListFigures ListRefusals ReopenRefusal
    ListLaboratoryQuality ListOverdueSamples ListConflicts FindStricterPolicies
    """.split()
)
"""The methods that ask for many codes, many sources, or much of the past: of health-code clients, of supervisors, and
those of other services that the gateway hands on."""

HEAVY_PURPOSES = frozenset({Purpose.PURPOSE_SUPERVISION})
"""The purposes that can wait: who looks things over asks again when holders and venues have been served."""


def weight_of(method: str) -> Weight:
    """Returns the weight of a method."""
    return Weight.HEAVY if method in HEAVY else Weight.LIGHT
