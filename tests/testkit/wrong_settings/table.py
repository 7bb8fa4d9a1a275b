"""The plausible wrong values of every setting, as data. What is a number, a flag or a form of words is refused by its
kind; what names something of the mesh is tried on a running one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

REFUSED, SERVED = "refused", "served"


class Mistake(NamedTuple):
    """One wrong value. In `value`, {name} stands for something of the mesh that is tried. A service that starts with it
    shows no false code; one that refuses says `says`. Where it starts, `says` is what a code, its coverage, the log or
    the readiness tells within ten seconds; empty where every code is the right one."""

    service: str
    variable: str
    what: str
    value: str
    outcome: str
    says: str = ""
    noticed_later: bool = False
    """What is wrong is noticed when a feed is read again, not in each answer: codes computed before that are shown for
    as long as the bound allows."""


BY_KIND: Mapping[str, Sequence[str]] = {
    "seconds": ("-1", "soon", "nan", "inf"),
    "seconds, more than 0": ("0", "-1", "soon", "nan"),
    "seconds, more than 0, at most 5": ("0", "6", "soon"),
    "hours": ("0", "1.5", "a day"),
    "a whole number from 1": ("0", "-5", "many"),
    "a whole number from 2": ("1", "many"),
    "a whole number up to 255": ("-1", "256", "one"),
    "NAME=host:port, comma-separated": ("nation/records", "nation/records=host"),
    "a second": ("-1", "many"),
    "0 to 1": ("2", "-0.1", "often"),
    "true or false": ("perhaps", "ja"),
    "host:port": ("host", "host:port", "127.0.0.1:70000"),
    "host:port or a gRPC name": ("host", "http://host:1", ":7000"),
    "http://… or https://…": ("collector:4317", "grpc://c:1"),
    "redis://…, rediss://…, unix://…, redis+sentinel://…/NAME or redis+cluster://…": (
        "cache:6379",
        "http://cache:6379",
        "redis://one:6379,two:6379",
        "redis+sentinel://one:26379,two:26379",
        "redis+cluster://one:port",
    ),
    "sqlite:///path or postgresql://…": ("", "records.db", "mysql://host/db", "sqlite:///"),
    "postgresql://…": ("sqlite:///replica.db", "replica"),
    "DEBUG, INFO, WARNING, ERROR": ("LOUD", "info"),
    "a file": ("/nowhere/file",),
    "a directory": ("/nowhere/",),
    "a YAML file": ("/nowhere/directory.yaml",),
    "at least 16 bytes": ("short",),
    "NAME=RATE/BURST, comma-separated": ("everybody", "show=fast"),
    "networks such as 10.0.0.0/8, comma-separated": ("10.0.0.0/99", "proxy"),
    "hosts such as *.example.cn, comma-separated": ("https://push.example.cn", "push.example.cn/path", "*"),
    "mailto:… or https://…": ("somebody", "mailto:", "http://example.cn"),
}
"""Values that no setting of a kind takes, by the unit that docs/settings.md gives."""

WRONG: Sequence[Mistake] = (
    # Where a process listens.
    Mistake("430000", "LISTEN", "a neighbour's address", "{nation}", REFUSED, "HUTONG_LISTEN"),
    Mistake("lookup", "LISTEN", "another port than the list says", "{free}", SERVED, "UNREACHABLE"),
    Mistake("430000", "LISTEN", "another port than the list says", "{free}", SERVED, "UNREACHABLE"),
    Mistake("gateway", "HTTP_LISTEN", "a neighbour's address", "{lookup}", REFUSED, "HUTONG_HTTP_LISTEN"),
    Mistake("430000", "OPERATIONS_LISTEN", "a neighbour's address", "{nation}", REFUSED, "HUTONG_OPERATIONS_LISTEN"),
    # The mesh's secret.
    Mistake("430000", "MESH_SECRET", "nothing", "", REFUSED, "HUTONG_MESH_SECRET"),
    Mistake("430000", "MESH_SECRET", "an old secret", "{secret}", REFUSED, "another secret"),
    Mistake("nation", "MESH_SECRET", "an old secret", "{secret}", REFUSED, "another secret"),
    Mistake("lookup", "MESH_SECRET", "an old secret", "{secret}", REFUSED, "another secret"),
    Mistake("verdict", "MESH_SECRET", "an old secret", "{secret}", SERVED, "OTHER_SECRET"),
    Mistake("gateway", "MESH_SECRET", "an old secret", "{secret}", SERVED, "OTHER_SECRET"),
    # Whose records these are.
    Mistake("430000", "REGION", "a neighbour's region", "110000", REFUSED, "belongs to 430000, not to 110000"),
    Mistake("430000", "REGION", "the nation", "nation", REFUSED, "belongs to 430000, not to nation"),
    Mistake("nation", "REGION", "a region", "430000", REFUSED, "belongs to nation, not to 430000"),
    Mistake("430000", "REGION", "a misspelt code", "43000", REFUSED, "HUTONG_REGION"),
    Mistake("430000", "REGION", "nothing", "", REFUSED, "HUTONG_REGION"),
    Mistake("430000", "KEEPS", "a neighbour's region too", "430000,110000", REFUSED, "HUTONG_KEEPS"),
    Mistake("430000", "KEEPS", "a neighbour's region", "110000", REFUSED, "HUTONG_KEEPS"),
    Mistake("nation", "KEEPS", "a region that it follows", "430000", REFUSED, "HUTONG_KEEPS and HUTONG_DIRECTORY"),
    Mistake("nation", "KEEPS", "fewer regions than are not on the mesh", "120000", SERVED),
    # Where things are kept.
    Mistake("430000", "STORE_URL", "a copy of a neighbour's", "{copy_110000}", REFUSED, "belongs to 110000"),
    Mistake("430000", "STORE_URL", "a neighbour's, which is served", "{store_110000}", REFUSED, "another process"),
    Mistake("430000", "STORE_URL", "a copy of the nation's", "{copy_nation}", REFUSED, "belongs to nation"),
    Mistake("430000", "STORE_URL", "lookup's", "{copy_lookup}", REFUSED, "something else than a store of records"),
    Mistake("430000", "STORE_URL", "that of a copy of the mesh", "{copy_other_430000}", SERVED, "FEED_CHANGED"),
    Mistake("430000", "STORE_URL", "one of another secret", "{foreign_430000}", REFUSED, "another secret"),
    Mistake("430000", "STORE_URL", "a backup from before the last results", "{early_430000}", SERVED),
    Mistake("430000", "STORE_URL", "an empty path, made anew", "{empty}", SERVED, "FEED_CHANGED"),
    Mistake("nation", "STORE_URL", "a copy of a region's", "{copy_430000}", REFUSED, "belongs to 430000"),
    Mistake("nation", "STORE_URL", "that of a copy of the mesh", "{copy_other_nation}", SERVED, "FEED_CHANGED"),
    Mistake("lookup", "STORE_URL", "a region's", "{copy_430000}", REFUSED, "something else"),
    Mistake("lookup", "STORE_URL", "one of another secret", "{foreign_lookup}", REFUSED, "another secret"),
    Mistake("lookup", "STORE_URL", "that of a copy of the mesh", "{copy_other_lookup}", SERVED, "FEED_CHANGED"),
    Mistake(
        "lookup", "STORE_URL", "a backup from before the last links", "{early_lookup}", SERVED, "FEED_CHANGED", True
    ),
    Mistake("430000", "STORE_MIGRATE", "false, on a store that is made", "false", SERVED),
    Mistake("lookup", "STORE_MIGRATE", "false, on a store that is made", "false", SERVED),
    Mistake(
        "430000", "STORE_URL_FILE", "a file as well", "{directory}", REFUSED, "HUTONG_STORE_URL and HUTONG_STORE_URL_"
    ),
    Mistake(
        "lookup", "STORE_URL_FILE", "a file as well", "{directory}", REFUSED, "HUTONG_STORE_URL and HUTONG_STORE_URL_"
    ),
    Mistake("430000", "READ_STORE_URL_FILE", "another file", "{directory}", REFUSED, "HUTONG_READ_STORE_URL_FILE"),
    Mistake("gateway", "REDIS_URL_FILE", "another file", "{directory}", REFUSED, "HUTONG_REDIS_URL_FILE: begins"),
    Mistake("430000", "READ_STORE_URL", "a replica, of a file", "postgresql://127.0.0.1:1/x", REFUSED, "HUTONG_READ"),
    # Who is on the mesh.
    Mistake("nation", "DIRECTORY", "none", "", SERVED, "another list"),
    Mistake("nation", "DIRECTORY", "a stale one, without a region", "{stale}", SERVED, "another list"),
    Mistake("nation", "DIRECTORY", "two addresses swapped", "{swapped}", SERVED, "WRONG_STORE"),
    Mistake("nation", "DIRECTORY", "a copy's region", "{copy_region}", SERVED, "another list"),
    Mistake("nation", "DIRECTORY", "a region of another secret", "{foreign_region}", SERVED, "another list"),
    Mistake("nation", "DIRECTORY", "another feed", "{wrong_feed}", SERVED, "another list"),
    Mistake("nation", "DIRECTORY", "one address twice", "{twice}", REFUSED, "HUTONG_DIRECTORY"),
    Mistake("lookup", "DIRECTORY", "none", "", SERVED, "the list names no store"),
    Mistake("lookup", "DIRECTORY", "a stale one, without a region", "{stale}", SERVED, "another list"),
    Mistake("lookup", "DIRECTORY", "two addresses swapped", "{swapped}", SERVED, "WRONG_STORE"),
    Mistake("lookup", "DIRECTORY", "nation and region swapped", "{nation_swapped}", SERVED, "WRONG_STORE"),
    Mistake("lookup", "DIRECTORY", "a copy's region", "{copy_region}", SERVED, "FEED_CHANGED"),
    Mistake("lookup", "DIRECTORY", "a copy's nation", "{copy_nation_listed}", SERVED, "FEED_CHANGED"),
    Mistake("lookup", "DIRECTORY", "that of a copy of the mesh", "{copy_directory}", SERVED, "FEED_CHANGED"),
    Mistake("lookup", "DIRECTORY", "a region of another secret", "{foreign_region}", SERVED, "OTHER_SECRET"),
    Mistake("lookup", "DIRECTORY", "another feed", "{wrong_feed}", SERVED, "FEED_CHANGED"),
    Mistake("lookup", "DIRECTORY", "a mode of another region", "{wrong_mode}", SERVED, "another list"),
    Mistake("lookup", "DIRECTORY", "without the nation", "{no_nation}", SERVED, "and this one has none"),
    Mistake("lookup", "DIRECTORY", "a region that nobody serves", "{more}", SERVED, "another list"),
    Mistake("gateway", "DIRECTORY", "none", "", REFUSED, "HUTONG_DIRECTORY"),
    Mistake("gateway", "DIRECTORY", "without the nation", "{no_nation}", REFUSED, "HUTONG_DIRECTORY"),
    Mistake("gateway", "DIRECTORY", "a stale one, without a region", "{stale}", SERVED, "another list"),
    Mistake("gateway", "DIRECTORY", "two addresses swapped", "{swapped}", SERVED, "WRONG_STORE"),
    Mistake("gateway", "DIRECTORY", "a copy's nation", "{copy_nation_listed}", SERVED, "FEED_CHANGED"),
    Mistake("gateway", "DIRECTORY", "that of a copy of the mesh", "{copy_directory}", SERVED, "FEED_CHANGED"),
    Mistake("gateway", "DIRECTORY", "one of another secret", "{foreign_directory}", SERVED, "OTHER_SECRET"),
    Mistake("gateway", "DIRECTORY", "a mode of another region", "{wrong_mode}", SERVED, "another list"),
    # Whom a process asks.
    Mistake("verdict", "LOOKUP", "a region's", "{430000}", SERVED, "error"),
    Mistake("verdict", "LOOKUP", "its own", "{verdict}", SERVED, "error"),
    Mistake("verdict", "LOOKUP", "that of a copy of the mesh", "{other_lookup}", SERVED, "FEED_CHANGED"),
    Mistake("verdict", "LOOKUP", "that of another secret", "{foreign_lookup_address}", SERVED, "OTHER_SECRET"),
    Mistake("verdict", "LOOKUP", "where nobody is", "{free}", SERVED, "error"),
    Mistake("gateway", "LOOKUP", "a region's", "{430000}", SERVED, "lookup not reached"),
    Mistake("gateway", "LOOKUP", "that of a copy of the mesh", "{other_lookup}", SERVED, "FEED_CHANGED"),
    Mistake("gateway", "LOOKUP", "that of another secret", "{foreign_lookup_address}", SERVED, "OTHER_SECRET"),
    Mistake("gateway", "VERDICT", "lookup's", "{lookup}", SERVED, "error"),
    Mistake("gateway", "VERDICT", "that of a copy of the mesh", "{other_verdict}", SERVED, "FEED_CHANGED"),
    Mistake("gateway", "VERDICT", "that of another secret", "{foreign_verdict}", SERVED, "OTHER_SECRET"),
    Mistake("gateway", "VERDICT", "where nobody is", "{free}", SERVED, "error"),
    Mistake("gateway", "REDIS_URL", "no Redis", "redis://{lookup}/0", SERVED),
    Mistake("gateway", "REDIS_URL", "where nobody is", "redis://{free}/0", SERVED),
    # Policies.
    Mistake("verdict", "POLICIES", "a stale copy", "{old_policies}", SERVED, "POLICIES_WENT_BACK"),
    Mistake("verdict", "POLICIES", "a directory without policies", "{empty_folder}", REFUSED, "HUTONG_POLICIES"),
    # Files.
    Mistake("gateway", "ISSUERS", "something else, beside a development issuer", "{directory}", REFUSED, "HUTONG_"),
    Mistake("gateway", "CORS_ORIGINS", "a name without its scheme", "code.example.cn", REFUSED, "HUTONG_CORS"),
    Mistake("gateway", "PASS_KEY", "something else", "{directory}", REFUSED, "HUTONG_PASS_KEY"),
    Mistake(
        "gateway", "CERTIFICATE_SIGNERS", "a folder of none", "{empty_folder}", REFUSED, "HUTONG_CERTIFICATE_SIGNERS"
    ),
    Mistake("gateway", "CERTIFICATE_TRUST", "a folder of none", "{empty_folder}", REFUSED, "HUTONG_CERTIFICATE_TRUST"),
    Mistake("lookup", "CERTIFICATE_TRUST", "a folder of none", "{empty_folder}", REFUSED, "HUTONG_CERTIFICATE_TRUST"),
    Mistake("gateway", "DEVELOPMENT", "a file", "{directory}", REFUSED, "HUTONG_DEVELOPMENT"),
    Mistake("gateway", "SAMPLE_PEOPLE", "something else", "{directory}", REFUSED, "HUTONG_SAMPLE_PEOPLE"),
    Mistake("430000", "ACCESS_TABLE", "something else, without certificates", "{directory}", SERVED),
    Mistake("430000", "TLS_CERTIFICATE", "without its key", "{directory}", REFUSED, "HUTONG_TLS"),
    Mistake("430000", "TLS_KEY", "without its certificate", "{directory}", REFUSED, "HUTONG_TLS"),
    Mistake("430000", "TLS_TRUST", "without a certificate", "{empty_folder}", REFUSED, "HUTONG_TLS"),
    Mistake("430000", "WITNESS", "a file", "{directory}", REFUSED, "HUTONG_WITNESS"),
    Mistake("430000", "AUDIT", "a file", "{directory}", REFUSED, "HUTONG_AUDIT"),
    Mistake("gateway", "AUDIT_TRAILS", "another folder", "{empty_folder}", REFUSED, "HUTONG_AUDIT_TRAILS"),
    Mistake("lookup", "REPLICA", "a neighbour's name", "430000", SERVED),
    Mistake("gateway", "CACHE_ENTRIES", "hardly any", "1", SERVED),
    Mistake("gateway", "SUPERVISION_STORE", "a region's", "{copy_430000}", REFUSED, "something else"),
    Mistake("gateway", "SUPERVISION_STORE", "a path of nothing", "{empty}", REFUSED, "no store of supervision"),
    Mistake("gateway", "SUPERVISION_STORE_FILE", "another file", "{directory}", REFUSED, "HUTONG_SUPERVISION_STORE"),
    Mistake("gateway", "SUPERVISION_MIGRATE", "true, without a store", "true", SERVED),
    Mistake("gateway", "SUPERVISION_DAYS", "one", "1", SERVED),
    Mistake("gateway", "PUSH_KEY", "something, without a store", "{directory}", REFUSED, "HUTONG_PUSH_STORE"),
    Mistake("gateway", "PUSH_TRUST", "something else, without a store", "{directory}", SERVED),
    Mistake("gateway", "PUSH_STORE", "a region's", "{copy_430000}", REFUSED, "something else"),
    Mistake("gateway", "PUSH_STORE", "a path of nothing", "{empty}", REFUSED, "no store of push"),
    Mistake("gateway", "PUSH_STORE_FILE", "another file", "{directory}", REFUSED, "HUTONG_PUSH_STORE"),
    Mistake("gateway", "PUSH_MIGRATE", "true, without a store", "true", SERVED),
    Mistake("gateway", "PUSH_DAYS", "one", "1", SERVED),
    Mistake("gateway", "LISTEN", "a misspelt name: HUTONG_LISTN", "misspelt", REFUSED, "did you mean HUTONG_LISTEN"),
)
