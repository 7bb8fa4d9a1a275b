"""The texts of a verdict, Chinese first. What depends on a policy alone is written once, when it is compiled."""

from datetime import datetime, timedelta

from services.common.errors import Text
from services.common.instants import CST, Instant
from services.common.regions import NATION, divisions
from services.verdict.domain.evidence.values import Result, Scene
from services.verdict.domain.policy.contents import ClauseEntry

NOTICE_GROUND = Text(
    "按国务院联防联控机制2022年7月29日通知予以互认：任何渠道、任何地区的阴性结果，在本地有效期内（自报告出具起计）具有同等效力",
    "Recognised under the national notice of 2022-07-29: a negative result from any channel and any region has equal"
    " force within the local window, counted from its report",
)
AWAITING_GROUND = Text("已采样，等待结果", "Sampled; the result is awaited")
POSITIVE_GROUND = Text("有尚未解除的阳性结果", "A positive result stands that has not been cleared")
POOL_GROUND = Text("所在混管结果为阳性，须单人单管复检", "The pooled tube was positive; a single retest is owed")

HELD_GROUND = Text(
    "有效期最后一天已采样，结果未出，当日天数延续显示并予认可，至次日24时止",
    "Sampled on the last day of the window: that day goes on being shown, and recognised, until the result comes, to"
    " the end of the next day",
)
NOTHING_REQUIRED_GROUND = Text("此处不要求核酸检测", "No test is required here")

_TUBES = {
    "single": Text("单检", "single-tube"),
    "pool_5": Text("5混1", "pool-of-5"),
    "pool_10": Text("10混1", "pool-of-10"),
    "pool_20": Text("20混1", "pool-of-20"),
}
_CHANNELS = {
    "laboratory": Text("检测机构", "laboratory"),
    "national_platform": Text("国家平台", "national platform"),
    "health_code": Text("健康码", "health code"),
    "certificate": Text("电子证明", "electronic certificate"),
    "paper": Text("纸质报告", "paper report"),
}
_SCENES = {
    Scene.HOSPITAL: Text("医疗机构", "hospitals"),
    Scene.CARE_HOME: Text("养老院、福利院", "care homes"),
    Scene.SCHOOL: Text("学校", "schools"),
    Scene.CHILDCARE: Text("托幼机构", "childcare"),
    Scene.HOTEL: Text("宾馆、旅店", "hotels"),
    Scene.RESTAURANT: Text("餐饮场所", "restaurants"),
    Scene.SHOP: Text("商场、超市", "shops"),
    Scene.MARKET: Text("农贸市场", "markets"),
    Scene.METRO: Text("地铁", "the metro"),
    Scene.BUS: Text("公交、出租汽车", "buses and taxis"),
    Scene.RAILWAY: Text("火车站、列车", "railways"),
    Scene.AIRPORT: Text("机场、航班", "airports"),
    Scene.COACH_STATION: Text("长途汽车客运站", "coach stations"),
    Scene.ENTERTAINMENT: Text("娱乐场所", "places of entertainment"),
    Scene.SPORTS: Text("体育场馆", "sports grounds"),
    Scene.SIGHTS: Text("公园、景区、博物馆", "parks, sights and museums"),
    Scene.WORKPLACE: Text("办公楼、工厂、工地", "workplaces"),
    Scene.RESIDENTIAL: Text("居民小区", "residential compounds"),
    Scene.PRISON: Text("监所", "prisons"),
}
_EPOCH = datetime(1970, 1, 1, 8, tzinfo=CST)
_FROM = {True: Text("出具报告", "its report"), False: Text("采样", "sampling")}


def when(instant: Instant) -> str:
    """Writes an instant as people read it, in UTC+8: 2022-08-05 13:20, with seconds only where there are any."""
    moment = _EPOCH + timedelta(microseconds=instant)
    return moment.isoformat(" ", "seconds" if moment.second or moment.microsecond else "minutes")[:-6]


def region_name(code: str) -> Text:
    """Returns a region's name; the nation's records for "nation"."""
    if code == NATION:
        return Text("国家核酸检测信息", "the national records")
    division = divisions().get(code)
    return Text(code, code) if division is None else division.name


def scene_name(scene: int) -> Text:
    """Returns a scene's name; the health code itself for none."""
    return _SCENES.get(Scene(scene), Text("健康码", "the health code"))


def exempt_ground(age: int) -> Text:
    """Says that a person under an age is asked for nothing."""
    return Text(f"未满{age}周岁，免于核酸检测", f"Under {age} years of age: no test is required")


def hours_text(hours: float) -> Text:
    """Writes a length of time: 48小时 / 48 hours."""
    number = f"{hours:g}"
    return Text(f"{number}小时", f"{number} hour" if hours == 1 else f"{number} hours")


def from_text(from_reported: bool) -> Text:
    """Says what a window is counted from."""
    return _FROM[from_reported]


def _window(hours: float, *, from_reported: bool, edge: str) -> Text:
    length, start = hours_text(hours), _FROM[from_reported]
    zh = "（含届满时刻）" if edge == "inclusive" else "（不含届满时刻）"
    en = " (its very end included)" if edge == "inclusive" else " (its very end excluded)"
    return Text(f"自{start.zh}起{length.zh}内{zh}", f"within {length.en} of {start.en}{en}")


def plain_requirement(result: Result, hours: float, *, from_reported: bool, edge: str) -> Text:
    """Says what is asked for, of any origin and channel."""
    window = _window(hours, from_reported=from_reported, edge=edge)
    if result == Result.AWAITED:
        return Text(f"{window.zh}的采样记录", f"a sampling record {window.en}")
    return Text(f"{window.zh}的阴性结果，不限地区和渠道", f"a negative result from any region and channel, {window.en}")


def origins_text(names: tuple[str, ...]) -> Text:
    """Writes origins as a policy names them."""
    zh, en = [], []
    for name in names:
        if name == "anywhere":
            return Text("任何地区", "any region")
        if name == "local":
            zh.append("本地")
            en.append("this region")
        elif name.startswith("bloc:"):
            members = [d.name for d in divisions().values() if d.bloc == name.removeprefix("bloc:")]
            zh.append("、".join(member.zh for member in members))
            en.append(", ".join(member.en for member in members))
        else:
            zh.append(region_name(name).zh)
            en.append(region_name(name).en)
    return Text("、".join(zh), ", ".join(en))


def tubes_text(names: tuple[str, ...]) -> Text:
    """Writes kinds of tube as a policy names them."""
    return Text("、".join(_TUBES[name].zh for name in names), " or ".join(_TUBES[name].en for name in names))


def requirement(entry: ClauseEntry) -> Text:
    """Says what a clause asks for, in one phrase."""
    origins = origins_text(entry.origins)
    window = _window(entry.window.hours, from_reported=entry.window.from_ == "reported", edge=entry.window.edge)
    zh, en = f"{window.zh}，来自{origins.zh}", f"from {origins.en}, {window.en}"
    if entry.channels is not None:
        channels = [_CHANNELS[name] for name in entry.channels]
        zh += f"，以{'、'.join(c.zh for c in channels)}出示"
        en += f", shown by {' or '.join(c.en for c in channels)}"
    if entry.window.sampling_time == "required":
        zh += "，采样时间明确"
        en += ", its sampling time known"
    tube_zh = tube_en = ""
    if entry.tubes is not None:
        tubes = tubes_text(entry.tubes)
        tube_zh, tube_en = tubes.zh, f"{tubes.en} "
    awaited = entry.evidence == "sampling_record"
    what_zh = "采样记录" if awaited else "阴性结果"
    if entry.count is None:
        what_en = f"a {tube_en}sampling record" if awaited else f"a {tube_en}negative result"
        return Text(f"{zh}的{tube_zh}{what_zh}", f"{what_en} {en}")
    apart = hours_text(entry.count.apart_hours)
    what_en = "sampling records" if awaited else "negative results"
    return Text(
        f"{zh}的{entry.count.tests}次{tube_zh}{what_zh}，每两次采样至少间隔{apart.zh}",
        f"{entry.count.tests} {tube_en}{what_en} {en}, each sampled at least {apart.en} after the one before",
    )
