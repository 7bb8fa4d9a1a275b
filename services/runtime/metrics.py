"""The metrics that every process has: what is called by whom, how it ends and how long it takes."""

import re
from functools import lru_cache
from typing import Final

from prometheus_client import Counter, Gauge

from services.runtime.telemetry.tally import Durations, Level, Tally
from services.runtime.tls.identity import SCHEME, TRUST_DOMAIN
from services.runtime.version import VERSION

OVERLOADED = Counter(
    "hutong_overloaded",
    "Calls that were refused because as many were under way as may be, by weight: LIGHT, and HEAVY, refused first.",
    ["weight"],
)
BUILD = Gauge("hutong_build_info", "1, by the version of the program that runs.", ["version"])
BUILD.labels(VERSION).set(1)
CERTIFICATE_BEGINS = Gauge(
    "hutong_certificate_begins_seconds",
    "When the certificate in force begins, in seconds since the epoch, by the name that it proves.",
    ["principal"],
)
CERTIFICATE_ENDS = Gauge(
    "hutong_certificate_ends_seconds",
    "When the certificate in force ends, in seconds since the epoch, by the name that it proves: less than a quarter "
    "of its life before, it should have been renewed.",
    ["principal"],
)
CALLS = Tally(
    "hutong_calls",
    "Calls that ended, by method, principal and outcome: OK, or the code that the caller was told; CANCELLED when it "
    "had left, or a drain ended its stream. Streams are counted when they end.",
    ["method", "principal", "outcome"],
)
CALL_SECONDS = Durations(
    "hutong_call_seconds",
    "How long a call that is answered once took, by method and principal. Streams, which live for days, are left out.",
    ["method", "principal"],
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
CALLS_IN_FLIGHT = Level(
    "hutong_calls_in_flight",
    "Calls that are answered once and under way now, at every port of the process: what HUTONG_CONCURRENCY bounds.",
)

UNPROVEN: Final = "unproven"
"""The label of a caller whose name nothing proves, or that has none yet."""
_SERVICE: Final = re.compile(
    rf"{SCHEME}{TRUST_DOMAIN}/("
    r"mesh/[a-z]+|nation/[a-z]+"
    r"|region/[0-9]{6}/[a-z]+(?=/|$)"
    r"|(?:holder|guardian|supervisor|operator|development|anonymous)(?=/|$)"
    r")"
)


def principal_label(caller: str, *, proven: bool) -> str:
    """Returns the label of a caller: the proven name of a service or of a region's system below spiffe://hutong/; of
    people, venues and laboratories the kind alone, such as `holder` or `region/430000/venue`. Never a person."""
    return _label(caller) if proven else UNPROVEN


@lru_cache(4096)
def _label(caller: str) -> str:
    match = _SERVICE.match(caller)
    return UNPROVEN if match is None else match[1]


OLDER_KEYS: Final = Gauge(
    "hutong_older_person_keys",
    "1 while a store may still have person keys of another version of the mesh's secret than it writes, by store.",
    ["store"],
)
SECRET_VERSION: Final = Gauge(
    "hutong_mesh_secret_version",
    "The versions of the mesh's secret that this process goes by: the current one, under which it tells others person "
    "keys, and the newest and the oldest that it understands.",
    ["which"],
)
