"""The names of all settings of all services: what is none of them is a mistake in writing.

One environment may serve every service, such as one ConfigMap for all: a name that another of them knows is no mistake.
This list is held against the services' settings by a test, since nothing here may import them.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches

PREFIX = "HUTONG_"

NAMES = frozenset(
    """
    LISTEN MESH_SECRET MESH_SECRET_FILE
    TLS_CERTIFICATE TLS_KEY TLS_TRUST PLAINTEXT ACCESS_TABLE OPERATIONS_LISTEN CONCURRENCY
    DRAIN_WAIT DRAIN_GRACE STREAMS_PER_CALLER STREAMS_PER_CONNECTION READER_SECONDS
    WITNESSES WITNESS LIMITS TRUSTED_PROXIES REFLECTION OTLP_ENDPOINT TRACE_RATIO LOG_LEVEL AUDIT
    REGION KEEPS STORE_URL STORE_URL_FILE READ_STORE_URL READ_STORE_URL_FILE DIRECTORY CLOCK_SKEW STORE_POOL
    STATEMENT_TIMEOUT STORE_MIGRATE ANSWERS_KEPT OVERDUE_HOURS QUALITY_EVERY
    SOURCE_TIMEOUT REPLICA
    LOOKUP POLICIES POLICY_POLL
    ISSUERS DEVELOPMENT PASS_KEY CERTIFICATE_SIGNERS CERTIFICATE_TRUST CORS_ORIGINS
    HTTP_LISTEN VERDICT REDIS_URL REDIS_TIMEOUT CACHE_ENTRIES CACHE_BYTES SAMPLE_PEOPLE HTTP_HEAD_SECONDS
    HTTP_IDLE_SECONDS TRACE_ASKED REQUEST_SECONDS COMPUTE_SECONDS NEWS_SECONDS SUPERVISION_STORE SUPERVISION_MIGRATE
    SUPERVISION_STORE_FILE SUPERVISION_DAYS REDIS_URL_FILE AUDIT_TRAILS
    PUSH_KEY PUSH_CONTACT PUSH_SERVICES PUSH_NETWORKS PUSH_TRUST PUSH_STORE PUSH_STORE_FILE PUSH_MIGRATE PUSH_DAYS
    PUSH_LEAD_SECONDS
    """.split()
)
"""Without the prefix; by service: all of them, records, lookup, verdict, the gateway."""

_TESTS = frozenset("CRASH_ROUNDS TEST_CITUS_URLS WRONG_SETTINGS".split())
"""What the tests take from the environment, and hand on with it."""

_SERVICE_LINK = re.compile(r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")
"""What Kubernetes puts into a pod's environment for a Service whose name begins with hutong."""


def unknown(environ: Iterable[str], own: Collection[str]) -> Iterator[str]:
    """Yields what is wrong with the names that begin with HUTONG_ and are neither `own`, without the prefix, nor
    another service's: for each, a sentence with the name that was probably meant."""
    known = NAMES.union(own)
    for name in sorted(environ):
        bare = name.removeprefix(PREFIX)
        if not name.startswith(PREFIX) or bare in known | _TESTS or _SERVICE_LINK.fullmatch(bare):
            continue
        near = get_close_matches(bare, sorted(known), 1)
        yield f"{name} is no setting" + (f"; did you mean {PREFIX}{near[0]}?" if near else "; see docs/settings.md")
