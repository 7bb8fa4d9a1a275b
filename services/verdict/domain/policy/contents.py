"""The contents of a policy file. Unknown fields are refused; the JSON Schema is made from these structs.

A policy in force is never edited: a change is a new version that starts later. Its content hash covers what it says,
not how it is laid out, so that comments may be bettered.
"""

from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from services.common.instants import Instant, format_rfc3339, parse_rfc3339, time_of_day, to_datetime

Edge = Literal["inclusive", "exclusive"]
TubeName = Literal["single", "pool_5", "pool_10", "pool_20"]
ChannelName = Literal["laboratory", "national_platform", "health_code", "certificate", "paper"]
ColourName = Literal["green", "yellow", "orange", "red", "grey"]
OffsetInstant = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$",
        description="RFC 3339; the offset is compulsory, for an instant is never silently UTC.",
    ),
]
Hours = Annotated[float, Meta(gt=0, le=8784, description="Hours; 7 days are 168.")]
OriginName = Annotated[
    str,
    Meta(
        pattern=r"^(local|anywhere|[1-8]\d0000|bloc:[a-z][a-z0-9-]*)$",
        description="local (the policy's own region), bloc:<name>, a GB/T 2260 code, or anywhere.",
    ),
]


SceneName = Literal[
    "hospital",
    "care_home",
    "school",
    "childcare",
    "hotel",
    "restaurant",
    "shop",
    "market",
    "metro",
    "bus",
    "railway",
    "airport",
    "coach_station",
    "entertainment",
    "sports",
    "sights",
    "workplace",
    "residential",
    "prison",
]
"""The places of the published list, hutong/verdict/v1/scene.proto."""


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """A text for people, Chinese and English."""

    zh: Annotated[str, Meta(min_length=1)]
    en: Annotated[str, Meta(min_length=1)]


class ClauseWindow(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """The window in which a test counts: how long, from when, and if it still does at the very end."""

    hours: Hours
    from_: Literal["sampled", "reported"]
    edge: Edge
    sampling_time: (
        Annotated[
            Literal["required", "may be unknown"],
            Meta(
                description="required: a result whose sampling time is unknown does not count; may be unknown (the"
                " default): it is placed at its report.",
            ),
        ]
        | None
    ) = None


class PlainWindow(Struct, frozen=True, forbid_unknown_fields=True):
    """A window whose beginning is given by the rule it belongs to."""

    hours: Hours
    edge: Edge


class Count(Struct, frozen=True, forbid_unknown_fields=True):
    """The count of a clause: so many tests inside the window, each sampled at least so long after the one before."""

    tests: Annotated[int, Meta(ge=2, le=20)]
    apart_hours: Annotated[float, Meta(ge=0, le=8784)]


class ClauseEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One way to be recognised. A result means a negative one; a sampling record one whose result is awaited."""

    id: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    text: Words
    evidence: Literal["result", "sampling_record"]
    origins: Annotated[tuple[OriginName, ...], Meta(min_length=1)]
    channels: Annotated[tuple[ChannelName, ...], Meta(min_length=1)] | None = None
    tubes: Annotated[tuple[TubeName, ...], Meta(min_length=1)] | None = None
    window: ClauseWindow
    count: Count | None = None


class NoticeEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """The region's stance on the national notice, and its own validity window, counted from the report."""

    mode: Annotated[
        Literal["enforce", "report"],
        Meta(description="enforce: recognise on its ground; report: refuse, and be counted as refusing."),
    ]
    window: PlainWindow


class ExemptionEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """The exemption by age: those under it are asked for nothing, by the date of birth that their document tells."""

    under_age: Annotated[
        int, Meta(ge=1, le=120, description="In full years: until the day of that birthday begins, in UTC+8.")
    ]


class SceneRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rules for some scenes, in place of the general ones. What is left out is as in general."""

    scenes: Annotated[tuple[SceneName, ...], Meta(min_length=1)]
    requires: Annotated[Literal["nothing"], Meta(description="Instead of clauses: nothing is asked here.")] | None = (
        None
    )
    clauses: Annotated[tuple[ClauseEntry, ...], Meta(min_length=1)] | None = None
    notice: NoticeEntry | None = None
    exempt: ExemptionEntry | None = None


class DaysRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Days since test: calendar days in UTC+8 from the sampling day, day 0, of the newest negative."""

    kept: Annotated[
        Literal["own", "anywhere"],
        Meta(description="own: only records in the region's own store count for it; anywhere: all within the scope."),
    ]
    night_report_until: (
        Annotated[
            str,
            Meta(
                pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
                description="Where no sampling time is known, a report issued from 00:00 until before this time counts"
                " as sampled the day before.",
            ),
        ]
        | None
    ) = None
    held_day: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=30,
                description="The last day of the window, such as 3: it goes on being shown, and recognised, while a"
                " sample taken on that day awaits its result, to the end of the next day at most.",
            ),
        ]
        | None
    ) = None


class Clearance(Struct, frozen=True, forbid_unknown_fields=True):
    """The clearance of a positive: so many negatives sampled after it, each so long after the one before."""

    negatives: Annotated[int, Meta(ge=1, le=20)] = 2
    apart_hours: Annotated[float, Meta(ge=0, le=8784)] = 24.0
    tubes: Annotated[tuple[TubeName, ...], Meta(min_length=1)] = ("single",)


class SilenceEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """The rule for a source that cannot be reached and may have recorded a positive meanwhile."""

    marked_after_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="How long ago the source must have been known last for the verdict to say so, and the code to"
            " be marked STALE_SOURCE; 0: at once. A source of which nothing is known is marked always.",
        ),
    ] = 0.0
    undetermined_after_hours: Annotated[
        float,
        Meta(
            gt=0,
            le=8784,
            description="How long ago it must have been known last for RECOGNISED and PENDING to become UNDETERMINED.",
        ),
    ] = 24.0


class Colours(Struct, frozen=True, forbid_unknown_fields=True):
    """The colours that the region shows, by status."""

    recognised: ColourName
    not_recognised: ColourName
    pending: ColourName
    positive: ColourName
    retest_required: ColourName
    undetermined: ColourName
    not_required: Annotated[ColourName, Meta(description="As recognised, where it is left out.")] | None = None


class PolicyFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of one region's policy."""

    region: Annotated[str, Meta(pattern=r"^[1-8]\d0000$", description="GB/T 2260, as text: write it in quotes.")]
    effective_from: OffsetInstant
    title: Words
    requires: (
        Annotated[Literal["nothing"], Meta(description="Instead of clauses: nothing is asked but in scenes.")] | None
    ) = None
    clauses: Annotated[tuple[ClauseEntry, ...], Meta(min_length=1)] | None = None
    scenes: Annotated[tuple[SceneRules, ...], Meta(min_length=1)] | None = None
    exempt: ExemptionEntry | None = None
    notice: NoticeEntry
    days_since_test: DaysRule
    clearance: Clearance = Clearance()
    pending: PlainWindow
    silence: SilenceEntry | None = None
    colours: Colours

    def starts(self) -> Instant:
        """Returns when it comes into force."""
        return parse_rfc3339(self.effective_from)


class NoticeFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of the national notice: a negative result from any channel and any origin has equal force inside the
    region's own window, counted from its report."""

    region: Literal["nation"]
    effective_from: OffsetInstant
    title: Words
    text: Words
    binds: Annotated[bool, Meta(description="false in a version that ends it.")] = True
    asked_only_in: (
        Annotated[
            tuple[SceneName, ...],
            Meta(description="In every region nothing is asked any more, but in these scenes."),
        ]
        | None
    ) = None

    def starts(self) -> Instant:
        """Returns when it comes into force."""
        return parse_rfc3339(self.effective_from)


AnyPolicy = PolicyFile | NoticeFile


def content_hash(policy: AnyPolicy) -> bytes:
    """Returns the SHA-256 of the canonical content: JSON with sorted keys, without what is not set, the start in
    UTC+8."""
    same_start = msgspec.structs.replace(policy, effective_from=format_rfc3339(policy.starts()))
    return sha256(msgspec.json.encode(_set_only(msgspec.to_builtins(same_start)), order="sorted")).digest()


def _set_only(value: object) -> object:
    if isinstance(value, dict):
        return {key: _set_only(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_set_only(item) for item in value]
    return value


def policy_id(policy: AnyPolicy) -> str:
    """Returns its id, such as 110000-2022-07-02; with the time of day where it does not start at midnight in UTC+8."""
    starts = policy.starts()
    if time_of_day(starts):
        return f"{policy.region}-{to_datetime(starts):%Y-%m-%dT%H%M%S}"
    return f"{policy.region}-{to_datetime(starts):%Y-%m-%d}"
