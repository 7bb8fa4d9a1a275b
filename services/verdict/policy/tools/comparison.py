"""Compares two rules for one place: which single tests one of them recognises and the other does not, in plain words.

Complete for single tests, by the limits of `ages`: for every kind of test whether there is an age at which only one of
the two recognises it. Kinds that differ alike are told together. Clauses that ask for several tests are compared as
they are written.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from services.common.errors import Text
from services.common.instants import HOUR
from services.common.regions import divisions
from services.verdict.domain.evidence.values import Channel, Scene, Tube
from services.verdict.domain.policy.compiled import Rules
from services.verdict.domain.policy.policy_set import PolicyInForce, PolicySet
from services.verdict.domain.reasons.wording import hours_text, region_name, scene_name
from services.verdict.policy.tools.ages import NEVER, Ages, Kind, Limit, ages

_CHANNELS = {
    Channel.LABORATORY: Text("检测机构", "reported by a laboratory"),
    Channel.NATIONAL_PLATFORM: Text("国家平台", "shown by the national platform"),
    Channel.HEALTH_CODE: Text("健康码", "shown in a health code"),
    Channel.CERTIFICATE: Text("电子证明", "shown by certificate"),
    Channel.PAPER: Text("纸质报告", "shown on paper"),
}


class Difference(NamedTuple):
    """Kinds of test that change alike: what was granted before, and what is granted after."""

    scene: int
    kinds: tuple[Kind, ...]
    before: Ages
    after: Ages

    @property
    def loses(self) -> bool:
        """Says whether some test of these kinds is no longer recognised."""
        return _exceeds(self.before, self.after)

    @property
    def gains(self) -> bool:
        """Says whether some test of these kinds is newly recognised."""
        return _exceeds(self.after, self.before)

    def text(self) -> Text:
        """Writes what changes, and for whom."""
        whom, place = _whom(self.kinds), scene_name(self.scene)
        before, after = _granted(self.before), _granted(self.after)
        sign = {(True, True): Text("有得有失", "some gain, some lose"), (True, False): Text("更严", "lose")}.get(
            (self.loses, self.gains), Text("更宽", "gain")
        )
        return Text(
            f"{place.zh}：{whom.zh}，{before.zh} → {after.zh}（{sign.zh}）",
            f"{place.en}: {whom.en}, {before.en} -> {after.en} ({sign.en})",
        )


def differences(before: PolicyInForce, after: PolicyInForce) -> list[Difference]:
    """Returns every kind of single test that is recognised for longer or shorter by `after` than by `before`, the
    health code itself first. Where nothing is asked, everything is as though recognised."""
    compared: list[Difference] = []
    seen: set[tuple[int, int, bool, bool]] = set()
    for scene in Scene:
        old, new = before.policy.rules(scene), after.policy.rules(scene)
        judged_alike = (id(old), id(new), before.asks(scene), after.asks(scene))
        if judged_alike in seen:
            continue
        seen.add(judged_alike)
        compared += _in_scene(scene, before, after)
    return compared


def _in_scene(scene: int, before: PolicyInForce, after: PolicyInForce) -> Iterator[Difference]:
    groups: dict[tuple[Ages, Ages], list[Kind]] = {}
    for origin in divisions():
        for channel in Channel:
            for tube in Tube:
                # "local" is each policy's own region: a neighbour's test is compared as it is, from where it was taken.
                kind = Kind(origin, channel, tube)
                pair = (_ages(before, scene, kind), _ages(after, scene, kind))
                if _exceeds(*pair) or _exceeds(pair[1], pair[0]):
                    groups.setdefault(pair, []).append(kind)
    for (old, new), kinds in groups.items():
        yield Difference(scene, tuple(kinds), old, new)


_EVERYTHING = Limit(1 << 62, True)


def _ages(in_force: PolicyInForce, scene: int, kind: Kind) -> Ages:
    if not in_force.asks(scene):
        return Ages(_EVERYTHING, _EVERYTHING, _EVERYTHING, _EVERYTHING)
    granted = ages(in_force.policy.rules(scene), kind, notice=in_force.binds)
    # A report never comes before its sample: a window from sampling that is no longer than the one from the report adds
    # nothing.
    return granted if granted.sampled > granted.reported else granted._replace(sampled=NEVER)


def _exceeds(one: Ages, other: Ages) -> bool:
    """Says whether some test is recognised by one and not by the other.

    Of a result with a known sampling time: at an age since the report that only the one lets through (and sampled long
    before), or sampled and reported together at an age that only the one's window from sampling lets through.
    """
    return (
        one.reported > other.reported
        or one.sampled > max(other.sampled, other.reported)
        or one.undated > other.undated
        or one.awaited > other.awaited
    )


def same_counts(before: Rules, after: Rules) -> bool:
    """Says whether the clauses that ask for several tests are the same."""
    return _counted(before) == _counted(after)


def _counted(rules: Rules) -> frozenset[object]:
    return frozenset(
        (c.result, c.origins, c.channels, c.tubes, c.window, c.tests, c.apart) for c in rules.clauses if c.tests > 1
    )


def _granted(granted: Ages) -> Text:
    if granted.reported == _EVERYTHING:
        return Text("不要求", "nothing asked")
    parts = [
        (granted.reported, Text("报告", "report")),
        (granted.sampled, Text("采样", "sampling")),
        (granted.awaited, Text("采样记录", "as a sampling record")),
    ]
    words = [(_hours(limit), start) for limit, start in parts if limit.length or limit.inclusive]
    if granted.undated not in (granted.reported, max(granted.reported, granted.sampled)):
        start = Text("报告（采样时间未知）", "report, where the sampling time is unknown")
        words.append((_hours(granted.undated), start))
    if not words:
        return Text("不认可", "not recognised")
    return Text(
        "、".join(f"{start.zh}{hours.zh}" for hours, start in words),
        " or ".join(
            f"{hours.en} {start.en}" if start.en.startswith("as ") else f"{hours.en} from {start.en}"
            for hours, start in words
        ),
    )


def _hours(limit: Limit) -> Text:
    text = hours_text(limit.length / HOUR)
    return Text(f"{text.zh}（含）", f"{text.en} (inclusive)") if limit.inclusive else text


def _whom(kinds: Sequence[Kind]) -> Text:
    origins = {kind.origin for kind in kinds}
    channels, tubes = {kind.channel for kind in kinds}, {kind.tube for kind in kinds}
    where = _regions(origins)
    how = _names({Channel(c): t for c, t in _CHANNELS.items()}, channels, len(Channel))
    tube_zh = "" if len(tubes) == len(Tube) else "，" + "、".join(_tube(tube).zh for tube in sorted(tubes))
    tube_en = "" if len(tubes) == len(Tube) else ", " + " or ".join(_tube(tube).en for tube in sorted(tubes))
    return Text(f"{where.zh}的检测{how.zh}{tube_zh}", f"tests from {where.en}{how.en}{tube_en}")


def _regions(origins: Iterable[str]) -> Text:
    chosen = sorted(origins)
    every = sorted(divisions())
    if chosen == every:
        return Text("任何地区", "any region")
    left_out = [code for code in every if code not in chosen]
    if len(left_out) < len(chosen):
        names = [region_name(code) for code in left_out]
        return Text(
            f"除{'、'.join(name.zh for name in names)}外各地", f"everywhere but {', '.join(name.en for name in names)}"
        )
    names = [region_name(code) for code in chosen]
    return Text("、".join(name.zh for name in names), ", ".join(name.en for name in names))


def _names(texts: Mapping[Channel, Text], chosen: Iterable[int], most: int) -> Text:
    named = [texts[Channel(number)] for number in sorted(chosen)]
    if len(named) == most:
        return Text("", "")
    return Text(f"（{'、'.join(text.zh for text in named)}）", f" {' or '.join(text.en for text in named)}")


def _tube(tube: int) -> Text:
    return Text("单检", "single tube") if tube == Tube.SINGLE else Text(f"{tube}混1", f"pool of {tube}")


def neighbours(policies: PolicySet, region: str) -> list[PolicyInForce]:
    """Returns what is in force in the end in the other regions of the region's bloc."""
    bloc = divisions()[region].bloc
    codes = [code for code, division in divisions().items() if bloc and division.bloc == bloc and code != region]
    return [policies.spans(code)[-1][1] for code in codes if policies.spans(code)]
