"""What answers are made of."""

# a text in two languages is one text

from gateway.http.openapi.kit import REGION_CODE, answer, instant, items, maybe, names, ref, string
from gateway.http.views import ACTION, CHANNEL, KIND, RESULT, SOURCE, TUBE, Json


def evidence() -> Json:
    """Their schemas by name."""
    text = ref("Text")
    piece = answer(
        "一条证据。 Names a piece of evidence.",
        region=string("保存它的地区。 The region that keeps it."),
        sourceId=string("在该地区的编号。 Its id there."),
        revision={"type": "integer", "description": "所判定的版本。 The revision judged."},
    )
    record = answer(
        "一条检测记录。 A test record.",
        region=REGION_CODE,
        sourceId=string("编号。 Its id within the region."),
        revision={"type": "integer", "description": "版本。 The revision."},
        kind=names(KIND, "SAMPLING 采样记录, RESULT 检测报告."),
        sampledAt=maybe(instant("采样时间。 When the sample was taken.")),
        reportedAt=maybe(instant("报告时间。 When the report was issued.")),
        result=maybe(names(RESULT, "NEGATIVE 阴性, POSITIVE 阳性, INCONCLUSIVE 无法判定.")),
        tube=names(TUBE, "单检或混检。 Single tube or pool."),
        laboratory=string("检测机构。 The laboratory's id."),
        site=string("采样地区划代码。 GB/T 2260 code of the place of sampling."),
        channel=names(CHANNEL, "来源渠道。 How it reached the region that keeps it."),
        origin=maybe(ref("Origin")),
        action=names(ACTION, "该版本的操作。 What the revision did."),
        cause=maybe(string("更正或撤回的原因。 Why it was amended or retracted.")),
        recordedAt=maybe(instant("记录时间。 When the revision was committed.")),
    )
    return {
        "Text": answer("给人看的文字。 A text for people.", zh=string("中文。 Chinese."), en=string("英文。 English.")),
        "EvidenceRef": piece,
        "Origin": answer(
            "副本的出处。 Where a copy comes from.",
            region=string("原件所在地区。 The region of the original."),
            sourceId=string("原件编号，未知为空。 The original's id; empty when unknown."),
            revision={
                "type": "integer",
                "description": "所复制的版本，未知为 0。 The revision copied; 0 when unknown.",
            },
        ),
        "TestRecord": record,
        "Coverage": answer(
            "一个数据源的应答。 What became of asking one source.",
            source=string("地区代码或 nation。 A region's code, or nation."),
            status=names(
                SOURCE, "OK 已应答, UNREACHABLE 未能询问：不等于没有检测。 UNREACHABLE is never the same as no test."
            ),
            asOf=maybe(instant("数据截至。 It had everything up to then.")),
        ),
        "Ground": answer(
            "认可的依据，或不利的事实。 Why a test is recognised, or what stands against the person.",
            clause=string(
                "规则条款，或 NATIONAL_NOTICE 等。 The clause of the policy, or NATIONAL_NOTICE and the like."
            ),
            text=text,
            evidence=items(ref("EvidenceRef"), "所依据的证据。 What it rests on."),
            validUntil=maybe(instant("到期时间。 When it ends by time alone.")),
        ),
        "Reason": answer(
            "为何不足，以及怎样才够。 What fell short, and what would have been enough.",
            code=string("稳定代码，如 WINDOW_EXPIRED。 A stable code."),
            clause=maybe(string("未满足的条款。 The clause not met.")),
            evidence=maybe(ref("EvidenceRef")),
            text=text,
        ),
        "Policy": answer(
            "所依据的规则。 The policy that judged.",
            region=string("规则所属地区。 The region whose policy it is."),
            id=string("规则编号。 The policy's id."),
            effectiveFrom=maybe(instant("生效时间。 When it came into force.")),
            contentHash=string("规则内容的 SHA-256，十六进制。 SHA-256 of its canonical content, in hex."),
        ),
    }
