"""What is answered."""

# ruff: noqa: E501  # a text in two languages is one text

from gateway.http.openapi.kit import DOCUMENT, REGION_CODE, answer, instant, items, maybe, names, ref, string
from gateway.http.views import COLOUR, FRESHNESS, INTEROP, NOTICE, SCOPE, STATUS, Json
from services.common.errors import Code


def outputs() -> Json:
    """Their schemas by name."""
    code = answer(
        "健康码。 A code.",
        freshness=names(
            FRESHNESS,
            "COMPUTED 现算, CACHED 缓存, STALE 陈旧：服务未应答，显示仍在有效期内的最近结论。 STALE: the services did not answer; the last verdict, still valid.",
        ),
        age=maybe(
            {
                "type": "integer",
                "description": "陈旧的秒数，仅 STALE 时有。 Seconds since it was computed; only when STALE.",
            }
        ),
        region=REGION_CODE,
        scope=names(SCOPE, "所用范围。 The scope that applied."),
        at=maybe(instant("判定的时刻。 The instant judged.")),
        status=names(STATUS, "结论，各地同义。 The answer, the same words in every region."),
        colour=names(COLOUR, "本地显示的颜色。 What the region shows for it."),
        daysSinceTest=maybe(
            {"type": "integer", "description": "核酸天数，采样日为 0。 Days since the test; the sampling day is 0."}
        ),
        validUntil=maybe(instant("认可到期。 When recognition ends by time alone.")),
        freshUntil=maybe(
            instant("结论最早可能随时间改变的时刻。 The next instant at which the answer can change by time alone.")
        ),
        grounds=items(ref("Ground"), "依据。 What the answer rests on."),
        reasons=items(ref("Reason"), "不足之处。 What fell short."),
        coverage=items(ref("Coverage"), "问过谁，谁未应答。 Who was asked, and who did not answer."),
        policy=ref("Policy"),
        computedAt=maybe(instant("判定所依据信息的时刻。 The instant of the knowledge judged.")),
        notice=maybe(
            names(NOTICE, "全国通知的作用：ENFORCED 因其认可, REFUSAL 违反而未认可。 How the national notice came in.")
        ),
        nationalWouldRecognise={
            "type": "boolean",
            "description": "省内库不认可时，全国库是否会认可。 With scope LOCAL: whether NATIONAL would recognise.",
        },
        daysEvidence=maybe(ref("EvidenceRef")),
        newestTest=maybe(ref("TestRecord")),
    )
    error = answer(
        "批量中一项的错误。 Why one item has no answer.",
        status=string("gRPC 状态码名。 The name of the gRPC status.", enum=[one.name for one in Code]),
        reason=string("稳定原因。 A stable reason."),
        message=ref("Text"),
        violations=items(ref("Violation"), "出错的字段。 The wrong fields."),
    )
    one_of = [{"required": ["code"]}, {"required": ["error"]}]
    outcome = {"code": ref("HealthCode"), "error": ref("ItemError")}
    region = answer(
        "省级地区。 A province-level division.",
        region=REGION_CODE,
        displayName=ref("Text"),
        healthCode=maybe(string("2022 年健康码名称。 The name of its health code in 2022.")),
        bloc=maybe(string("所属互认圈。 The group of regions that recognise each other.")),
        interopMode=maybe(names(INTEROP, "接入方式。 How it joins the mesh.")),
        onMesh={"type": "boolean", "description": "是否直接接入。 Whether its records are served on the mesh."},
        scopeSwitch={
            "type": "boolean",
            "description": "是否可切换省内库与全国库。 Whether its holders may switch databases.",
        },
    )
    return {
        "HealthCode": code,
        "ItemError": error,
        "Outcome": {
            "type": "object",
            "description": "一项结果。 One item's outcome.",
            "properties": outcome,
            "oneOf": one_of,
            "additionalProperties": False,
        },
        "BatchShowResponse": answer(
            "批量亮码结果。 Many codes.", outcomes=items(ref("Outcome"), "逐项对应。 One for each question, in order.")
        ),
        "Destination": {
            "type": "object",
            "description": "一个目的地。 One destination.",
            "properties": {"region": ref("Region"), **outcome},
            "required": ["region"],
            "oneOf": one_of,
            "additionalProperties": False,
        },
        "DestinationsResponse": answer(
            "各地结论。 The code in each region.",
            destinations=items(ref("Destination"), "按所问次序或代码。 In the order asked, else by code."),
        ),
        "Result": answer(
            "一次检测。 One test.",
            record=ref("TestRecord"),
            originRegion=string("出处地区。 The region it comes from."),
            copiedTo=items(REGION_CODE, "另存有副本的地区。 Other regions whose own record holds a copy."),
        ),
        "ResultsResponse": answer(
            "检测结果，新者在前。 Results, newest first.",
            results=items(ref("Result"), "撤回的除外。 Withdrawn ones are left out."),
            coverage=items(
                ref("Coverage"),
                "有源未应答时，空列表不等于没有检测。 With an unreachable source, an empty list is not no test.",
            ),
            nextPageToken=maybe(string("末页为 null。 Null on the last page.")),
        ),
        "ResultsOutcome": {
            "type": "object",
            "description": "一人的检测结果。 One person's results, the first page of 50.",
            "properties": {"results": ref("ResultsResponse"), "error": ref("ItemError")},
            "oneOf": [{"required": ["results"]}, {"required": ["error"]}],
            "additionalProperties": False,
        },
        "BatchResultsResponse": answer(
            "多人的检测结果。 Many people's results.",
            outcomes=items(ref("ResultsOutcome"), "逐项对应。 One for each document, in order."),
        ),
        "ClaimResponse": answer(
            "纳入的结果。 The claimed result.",
            result=ref("Result"),
            created={"type": "boolean", "description": "此前已纳入则为 false。 False when it had been claimed before."},
        ),
        "SwitchResponse": answer(
            "开关位置。 The switch's position.", scope=names(SCOPE, "现用范围。 The scope that now applies.")
        ),
        "Region": region,
        "RegionsResponse": answer(
            "地区目录。 The regions.",
            regions=items(ref("Region"), "按代码。 By code."),
            nextPageToken=maybe(string("末页为 null。 Null on the last page.")),
        ),
        "SamplePerson": answer(
            "样例人员，纯属虚构。 A sample person, invented.",
            name=ref("Text"),
            document=DOCUMENT,
            region=REGION_CODE,
            shows=ref("Text"),
        ),
        "SamplePeopleResponse": answer(
            "样例人员。 The sample people.", people=items(ref("SamplePerson"), "各有所示。 What each is there to show.")
        ),
        "Alive": answer("进程存活。 The process answers.", status=string("ALIVE", enum=["ALIVE"])),
        "Ready": answer(
            "就绪；DEGRADED 为慢而不错。 Ready; DEGRADED is slower, not wrong.",
            status=string("READY 或 DEGRADED。", enum=["READY", "DEGRADED"]),
            components={
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "组件及其问题，空为正常。 Components, and what is wrong with each; empty when nothing is.",
            },
        ),
        "Violation": answer(
            "一个字段为何被拒。 Why one field was refused.",
            field=string(
                "字段路径；空为整个请求。 The field's path; empty for the request as a whole.",
                examples=["document.number"],
            ),
            reason=string("稳定原因。 A stable reason.", examples=["DOCUMENT_NUMBER_CHECK"]),
            message=ref("Text"),
        ),
        "Problem": {
            **answer(
                "错误，RFC 9457；reason 与 gRPC 的 ErrorInfo 相同。 An error; reason is the same as the ErrorInfo's over gRPC.",
                type=string("urn:hutong:reason:REASON"),
                title=string("类别。 The kind of error."),
                status={"type": "integer", "description": "HTTP 状态码。 The HTTP status."},
                detail=string("说明。 What happened."),
                reason=string("稳定原因。 A stable reason.", pattern="^[A-Z0-9_]+$"),
                violations=items(ref("Violation"), "出错的字段。 The wrong fields."),
                traceId=string("追踪号。 The trace's id.", pattern="^[0-9a-f]{32}$"),
            ),
            "additionalProperties": True,
        },
    }
