"""Explains the policy in force in words, Chinese first."""

from services.common.errors import Text
from services.common.instants import HOUR, SECOND, Instant, format_rfc3339
from services.verdict.domain.policy.compiled import CompiledPolicy, Rules
from services.verdict.domain.policy.contents import PolicyFile
from services.verdict.domain.policy.policy_set import PolicyInForce, PolicySet
from services.verdict.domain.reasons.wording import exempt_ground, hours_text, region_name, scene_name, tubes_text
from services.verdict.domain.rules.notice import NoticeRule
from services.verdict.domain.verdict import Status

_STATUSES = {
    Status.RECOGNISED: Text("认可", "recognised"),
    Status.NOT_RECOGNISED: Text("不认可", "not recognised"),
    Status.PENDING: Text("待出结果", "result awaited"),
    Status.POSITIVE: Text("阳性未解除", "positive"),
    Status.RETEST_REQUIRED: Text("须单管复检", "retest required"),
    Status.UNDETERMINED: Text("暂无法判定", "undetermined"),
    Status.NOT_REQUIRED: Text("不作要求", "not required"),
}
_COLOURS = {
    "green": Text("绿码", "green"),
    "yellow": Text("黄码", "yellow"),
    "orange": Text("橙码", "orange"),
    "red": Text("红码", "red"),
    "grey": Text("灰码", "grey"),
}


def explain(policies: PolicySet, region: str, at: Instant) -> str:
    """The policy in force in the region at an instant, as a text of many lines. Raises NoPolicyInForce."""
    in_force = policies.in_force(region, at)
    policy = in_force.policy
    source = policy.source
    lines = [
        Text(f"{source.title.zh}（{region_name(region).zh}）", f"{source.title.en} ({region_name(region).en})"),
        Text(
            f"编号 {policy.ref.policy_id}，自 {format_rfc3339(policy.starts)} 起施行",
            f"Id {policy.ref.policy_id}, in force from {format_rfc3339(policy.starts)}",
        ),
        *_following(policies, policy),
        *_lifted(in_force),
        *_rules(policy.general, in_force.binds),
        *_scenes(policy, in_force.binds),
        _days(source),
        _clearance(policy),
        Text(
            f"采样后结果未出：{policy.waiting.requirement.zh}，显示“待出结果”",
            f"Waiting for a result: {policy.waiting.requirement.en} shows as pending",
        ),
        _silence(policy),
        _colours(policy),
        Text(f"内容摘要 SHA-256：{policy.ref.content_hash.hex()}", f"Content SHA-256: {policy.ref.content_hash.hex()}"),
    ]
    return "\n".join([*(line.zh for line in lines), "", *(line.en for line in lines)])


def _following(policies: PolicySet, policy: CompiledPolicy) -> list[Text]:
    later = [version for version in policies.versions(policy.ref.region) if version.starts > policy.starts]
    if not later:
        return []
    start = format_rfc3339(later[0].starts)
    return [
        Text(
            f"至 {start} 由 {later[0].ref.policy_id} 取代",
            f"Until {start}, when {later[0].ref.policy_id} takes its place",
        )
    ]


def _lifted(in_force: PolicyInForce) -> list[Text]:
    if in_force.notice is None or in_force.asked_only_in is None:
        return []
    title, names = in_force.notice.source.title, [scene_name(scene) for scene in sorted(in_force.asked_only_in)]
    return [
        Text(
            f"按《{title.zh}》，除{'、'.join(name.zh for name in names)}外，不要求核酸检测",
            f"By “{title.en}”, no test is required but in {', '.join(name.en for name in names)}",
        )
    ]


def _rules(rules: Rules, binds: bool) -> list[Text]:
    if not rules.clauses:
        return [Text("不要求核酸检测", "No test is required")]
    lines = [Text("满足下列任何一条即予认可：", "Recognised when any of these is met:")]
    lines += [
        Text(
            f"  · {clause.text.zh}\n    （{clause.requirement.zh}）[{clause.id}]",
            f"  - {clause.text.en}\n    ({clause.requirement.en}) [{clause.id}]",
        )
        for clause in rules.clauses
    ]
    if rules.exempt_under:
        lines.append(exempt_ground(rules.exempt_under))
    return [*lines, _notice(rules.notice_rule, binds)]


def _scenes(policy: CompiledPolicy, binds: bool) -> list[Text]:
    lines: list[Text] = []
    for rules in policy.all_rules()[1:]:
        names = [scene_name(scene) for scene, other in sorted(policy.scenes.items()) if other is rules]
        lines.append(Text(f"在{'、'.join(name.zh for name in names)}：", f"In {', '.join(name.en for name in names)}:"))
        lines += _rules(rules, binds)
    if lines:
        lines.append(Text("其他场所及健康码本身按一般规则", "Elsewhere, and for the code itself: the general rules"))
    return lines


def _notice(rule: NoticeRule, binds: bool) -> Text:
    need = rule.clause.requirement
    if not binds:
        return Text("此时国家互认通知尚未施行", "The national notice does not bind at this time")
    if rule.enforce:
        return Text(
            f"执行国家互认通知：{need.zh}，亦予认可", f"Carries out the national notice: {need.en} is recognised too"
        )
    return Text(
        f"尚未执行国家互认通知：{need.zh}，不予认可，每次拒绝均记录在案",
        f"Does not yet carry out the national notice: {need.en} is refused, and every refusal is recorded",
    )


def _days(source: PolicyFile) -> Text:
    rule = source.days_since_test
    zh = "核酸天数：按北京时间自然日计，采样当日为第0天，24时更替"
    en = "Days since test: calendar days in UTC+8, day 0 the sampling day, turning over at 24:00"
    if rule.kept == "own":
        zh += "；只计本地库中的记录，外地结果须先由本人上传"
        en += "; only records in the region's own store count, so a result from elsewhere is claimed first"
    if rule.night_report_until is not None:
        zh += f"；采样时间不详的，0时至{rule.night_report_until}之前出具的报告按前一日采样计"
        en += (
            f"; where no sampling time is known, a report issued from 00:00 until before {rule.night_report_until}"
            " counts as sampled the day before"
        )
    if rule.held_day is not None:
        zh += f"；第{rule.held_day}天采样而结果未出的，次日仍显示第{rule.held_day}天并予认可，至次日24时止"
        en += (
            f"; who was sampled on day {rule.held_day} and awaits the result goes on showing day {rule.held_day}, and"
            " being recognised, to the end of the next day"
        )
    return Text(zh, en)


def _clearance(policy: CompiledPolicy) -> Text:
    rule = policy.clearance
    apart = hours_text(rule.apart / HOUR)
    tubes = tubes_text(policy.source.clearance.tubes)
    return Text(
        f"阳性解除：其后采样的{rule.negatives}次{tubes.zh}阴性，每次至少间隔{apart.zh}",
        f"A positive is cleared by {rule.negatives} {tubes.en} negatives sampled after it, each at least {apart.en}"
        " after the one before",
    )


def _silence(policy: CompiledPolicy) -> Text:
    rule = policy.silence
    limit = hours_text(rule.undetermined_after / HOUR)
    marked = f"{rule.marked_after / SECOND:g}"
    return Text(
        f"有地区失联时：失联满{marked}秒起注明，满{limit.zh}起“认可”和“待出结果”改为“暂无法判定”",
        f"Where a region cannot be reached: said so from {marked} s of silence on; from {limit.en} on, what was"
        " recognised or pending is undetermined",
    )


def _colours(policy: CompiledPolicy) -> Text:
    shown = [(_STATUSES[status], _COLOURS[colour.name.lower()]) for status, colour in sorted(policy.colours.items())]
    return Text(
        "颜色：" + "，".join(f"{status.zh}{colour.zh}" for status, colour in shown),
        "Colours: " + ", ".join(f"{status.en} {colour.en}" for status, colour in shown),
    )
