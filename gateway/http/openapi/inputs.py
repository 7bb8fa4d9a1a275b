"""What is sent."""

# ruff: noqa: E501  # a text in two languages is one text

from gateway.http.openapi.kit import (
    ASKED_AT,
    DOCUMENT,
    KNOWN_AT,
    REGION_CODE,
    REQUEST_ID,
    items,
    maybe,
    names,
    question,
    ref,
    string,
)
from gateway.http.requests import DOCUMENT_TYPES
from gateway.http.views import SCOPE, Json


def inputs() -> Json:
    """Their schemas by name."""
    query = {
        "document": DOCUMENT,
        "region": REGION_CODE,
        "scope": maybe(
            names(SCOPE, "缺省按持码人的开关。 Left to the holder's switch when absent. LOCAL 本省库, NATIONAL 全国库.")
        ),
        "at": maybe(ASKED_AT),
        "refresh": {"type": "boolean", "description": "绕过缓存。 Past the cache.", "default": False},
        "knownAt": maybe(KNOWN_AT),
    }
    return {
        "Document": question(
            "身份证件；号码转为人员标识后即弃，不存不记。 An identity document; its number is turned into a key and forgotten.",
            ["type", "number"],
            type=names(DOCUMENT_TYPES, "证件类型。 The kind of document."),
            number=string("证件号码；全角、空格、大小写不拘。 As printed; width, blanks and case do not matter."),
        ),
        "HealthCodeQuery": question("一次亮码。 One question.", ["document", "region"], **query),
        "BatchShowRequest": question(
            "批量亮码。 Many questions.",
            ["queries"],
            queries=items(ref("HealthCodeQuery"), "1 至 1000 项。 1 to 1,000.", minItems=1, maxItems=1000),
        ),
        "DestinationsRequest": question(
            "在哪些地区被认可。 Where is this person recognised?",
            ["document"],
            document=DOCUMENT,
            regions=maybe(items(REGION_CODE, "缺省为全部有规则的地区。 Every region that has a policy when absent.")),
            at=maybe(ASKED_AT),
        ),
        "ResultsRequest": question(
            "查检测结果。 Which results does this person have?",
            ["document"],
            document=DOCUMENT,
            pageSize={
                "type": "integer",
                "description": "至多 200，0 为 50。 At most 200; 0 means 50.",
                "minimum": 0,
                "default": 0,
            },
            pageToken=maybe(string("上一页的 nextPageToken。 The nextPageToken of the page before.")),
        ),
        "BatchResultsRequest": question(
            "批量查检测结果。 Which results do these people have?",
            ["documents"],
            documents=items(DOCUMENT, "1 至 1000 项。 1 to 1,000.", minItems=1, maxItems=1000),
        ),
        "ClaimRequest": question(
            "把外地结果纳入本地记录。 Make a result from elsewhere part of this region's record.",
            ["document", "region"],
            document=DOCUMENT,
            region=REGION_CODE,
            originRegion=maybe(
                string(
                    "结果所在地区；与 originSourceId 同时填写，或都不填即最新的外地结果。 The region that keeps it; with originSourceId, or neither: the newest from elsewhere."
                )
            ),
            originSourceId=maybe(string("结果在该地区的编号。 Its id there.")),
            requestId=maybe(REQUEST_ID),
        ),
        "SwitchRequest": question(
            "切换省内库与全国库，直至再次切换。 Switch between the provincial and the national database, for good.",
            ["document", "region", "scope"],
            document=DOCUMENT,
            region=REGION_CODE,
            scope=names(SCOPE, "LOCAL 省内库, NATIONAL 全国库."),
            requestId=maybe(REQUEST_ID),
        ),
    }
