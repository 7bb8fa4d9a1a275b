"""Settings of the gateway."""

from pathlib import Path
from typing import Annotated

from gateway.codes.cache.entry import BOUND_SECONDS
from services.runtime.settings.environment import ServerSettings, require_secret
from services.runtime.settings.kinds import (
    Contact,
    Count,
    Directory,
    File,
    Flag,
    Hosts,
    Listen,
    Members,
    Name,
    Networks,
    Origins,
    Rate,
    RedisUrl,
    SomeSeconds,
    StoreUrl,
    Target,
    up_to,
)

PUSH_SERVICES = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "*.push.apple.com",
    "*.notify.windows.com",
)
"""The push services of the browsers that most people have."""
HEAD_SECONDS = 10.0
IDLE_SECONDS = 75.0


class GatewaySettings(ServerSettings, frozen=True, kw_only=True):
    """The settings of the gateway: HUTONG_HTTP_LISTEN, HUTONG_VERDICT and so on."""

    http_listen: Listen = "127.0.0.1:8080"
    """Where to serve HTTP; port 0 takes a free one."""
    verdict: Target = "127.0.0.1:7003"
    """The verdict service."""
    lookup: Target = "127.0.0.1:7002"
    """The lookup service."""
    directory: Members = ""
    """Who is on the mesh: the nation's records and the regions', whose change feeds say which cached verdicts to drop.
    The same file as lookup's and the nation's."""
    redis_url: RedisUrl = ""
    """The shared cache, such as redis://cache:6379/0. Empty: a cache within the process."""
    redis_url_file: File = ""
    """A file with that URL, in place of redis_url: it may hold a password, and a process's environment is seen by more
    than its files. Read once, at start."""
    redis_timeout: SomeSeconds = 0.05
    """How long a command to Redis may take before the gateway goes on without it."""
    cache_entries: Count = 200_000
    """The most entries of the cache within the process; about 4 kB each."""
    cache_bytes: Count = 512 * 1024 * 1024
    """The most bytes of the cache within the process, whichever bound is met first. A Redis has its own: `maxmemory`,
    with `maxmemory-policy allkeys-lru`."""
    issuers: File = ""
    """Who may issue bearer tokens, with their keys and the roles that they may give: a YAML file, see docs/clients.md.
    Empty: nobody, and people and venues are refused."""
    development: Name = ""
    """The folder of a development issuer's key: the gateway issues its own tokens, and calls without one are those of a
    development principal. On loopback alone, without HUTONG_ISSUERS; the folder is made when it is not there."""
    audit_trails: Name = ""
    """The folder that has the trails of all replicas of the gateway, a folder each, this process's among them: a person
    who asks who looked is told of what any of them answered. Empty: this process's trail alone."""
    pass_key: File = ""
    """The key (P-256, PEM) from which the keys of passes come; all replicas have the same file, which is read again
    when it changes: the first key in it signs, further ones are published with it (`hutong pass-key`). Empty: with a
    development issuer one that is made in its folder, else no passes are issued."""
    supervision_store: StoreUrl = ""
    """Where figures and refusals are kept for supervision: sqlite:///relative/path, sqlite:////absolute/path for a
    gateway that is alone, or postgresql://user@host/database for all replicas. Empty: they are kept nowhere."""
    supervision_store_file: File = ""
    """A file with that URL, in place of supervision_store: it may hold a password. Read once, at start."""
    supervision_migrate: Flag = False
    """Makes that store when it is not there, and brings its tables up to date. Otherwise `hutong migrate` does."""
    supervision_days: Count = 180
    """For how many days a refusal is kept, to be opened again. Figures stay: they name nobody."""
    certificate_signers: Directory = ""
    """The regions' signers of test certificates: for each a certificate `NAME.pem` that names its region, and its key
    `NAME.key`; a folder that is read again when it changes. Empty: no certificates are issued."""
    certificate_trust: Directory = ""
    """The certificates of those who may sign test certificates (`*.pem`), and the list of revoked ones (`revoked.txt`):
    a folder that is read again when it changes, the same as lookup's. Empty: no certificates are verified."""
    push_key: File = ""
    """The key (P-256, PEM) that push services know this site by (VAPID); all replicas have the same. Another one ends
    every subscription. Empty: with a development issuer one that is made in its folder, else people's devices are told
    of nothing."""
    push_contact: Contact = ""
    """Where the operators of push services reach this site's: mailto:NAME@HOST or https://HOST. Needed with
    HUTONG_PUSH_KEY."""
    push_services: Hosts = PUSH_SERVICES
    """The hosts of the push services that messages are sent to, each with its port unless that is 443; `*.` stands for
    anything before. Nothing else is ever called, whatever a subscription says."""
    push_networks: Networks = ()
    """Networks that are not public, in which a push service of one's own may stand. Otherwise no address that is
    private, or the machine's own, is called, whatever name leads to it."""
    push_trust: File = ""
    """Certificates (PEM) that push services are known by, besides those of the system."""
    push_store: StoreUrl = ""
    """Where subscriptions are kept: sqlite:///relative/path, sqlite:////absolute/path for a gateway that is alone, or
    postgresql://user@host/database for all replicas. Empty: people's devices are told of nothing."""
    push_store_file: File = ""
    """A file with that URL, in place of push_store: it may hold a password. Read once, at start."""
    push_migrate: Flag = False
    """Makes that store when it is not there, and brings its tables up to date. Otherwise `hutong migrate` does."""
    push_days: Count = 180
    """For how many days a subscription lasts that its device does not renew: the page does so when it is opened."""
    push_lead_seconds: SomeSeconds = 7200.0
    """How long before its end a code is about to end."""
    cors_origins: Origins = ()
    """The origins, such as https://code.example.cn, whose pages may call the API from a browser. Empty: none but the
    gateway's own."""
    sample_people: File = ""
    """A JSON file of sample people to show at /v1/samplePeople; empty, as wherever there are real people: none."""
    http_head_seconds: SomeSeconds = HEAD_SECONDS
    """How long a connection may take to send the head of a request, also the first one after it was opened."""
    http_idle_seconds: SomeSeconds = IDLE_SECONDS
    """How long a connection may stay open between two requests; longer than the load balancer keeps its own."""
    trusted_proxies: Networks = ()
    """Networks of the proxies in front whose X-Forwarded-For is believed. Without them the address of a caller is that
    of its connection, and behind a proxy everybody has the proxy's."""
    trace_asked: Rate = 10.0
    """How many requests a second may be traced because their caller asks for it (the sampled flag of traceparent),
    besides those that trace_ratio picks; a traced request travels alone and costs several times as much."""
    request_seconds: SomeSeconds = 5.0
    """The deadline of an HTTP request."""
    compute_seconds: SomeSeconds = 3.0
    """How long a verdict may take to compute before the last known one is shown instead."""
    news_seconds: Annotated[float, up_to(BOUND_SECONDS)] = BOUND_SECONDS
    """The oldest news under which cached verdicts are still served: no out-of-date code is shown as current for
    longer."""

    def __post_init__(self) -> None:
        require_secret(self.mesh_secret)
        if self.audit_trails and Path(self.audit).parent != Path(self.audit_trails):
            raise ValueError("HUTONG_AUDIT_TRAILS: must be the folder in which HUTONG_AUDIT is one")
        if self.push_key and not self.push_store:
            raise ValueError("HUTONG_PUSH_STORE: is needed with HUTONG_PUSH_KEY")
        if self.push_key and not self.push_contact:
            raise ValueError("HUTONG_PUSH_CONTACT: is needed with HUTONG_PUSH_KEY")
