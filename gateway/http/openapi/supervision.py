"""The calls of supervisors, as the document has them."""

# ruff: noqa: E501  # a text in two languages is one text

from gateway.http.openapi.operations import PAGE, answered, get, post, problem
from gateway.http.openapi.schemas import Json

_DAYS: list[Json] = [
    {
        "name": name,
        "in": "query",
        "schema": {"type": "string", "format": "date"},
        "description": description,
    }
    for name, description in (
        ("firstDay", "首日（UTC+8），缺省为末日前六天。 The first day (UTC+8); six days before the last when absent."),
        ("lastDay", "末日，含；缺省为今天。 The last day, included; today when absent."),
    )
]
_FORMAT: Json = {
    "name": "format",
    "in": "query",
    "schema": {"type": "string", "enum": ["JSON", "CSV"], "default": "JSON"},
    "description": "CSV 含全部各页。 The CSV has all pages.",
}
_REGION: Json = {
    "name": "region",
    "in": "query",
    "schema": {"type": "string", "pattern": "^[0-9]{6}$"},
    "description": "地区代码；缺省为全部。 A region's code; all when absent.",
}
_STORE: Json = {
    "name": "store",
    "in": "query",
    "schema": {"type": "string"},
    "description": "所问的库：地区代码，缺省为国家库。 The store that is asked: a region's code; the nation's when absent.",
}
_PURPOSE: Json = {"$ref": "#/components/parameters/purpose"}


def _table(operation: str, summary: str, description: str, schema: str, parameters: list[Json]) -> Json:
    success = answered("成功。 Answered.", schema, None)
    success["content"]["text/csv"] = {"schema": {"type": "string"}}
    responses = {
        "200": success,
        **{str(status): problem(status) for status in (400, 401, 403, 429, 503, 504)},
    }
    call = get(operation, "监督 Supervision", summary, description, responses, [*parameters, _FORMAT])
    return {"get": {**call["get"], "security": [{"token": []}]}}


def _file(operation: str, summary: str, description: str, parameters: list[Json]) -> Json:
    call = _table(operation, summary, description, "Problem", parameters)["get"]
    del call["responses"]["200"]["content"]["application/json"]
    return {"get": {**call, "parameters": call["parameters"][:-1]}}


def supervision_paths() -> Json:
    """Returns the calls of supervisors, by path."""
    return {
        "/v1/supervision/figures": _table(
            "listFigures",
            "认可与未认可 · Figures",
            "按日、地区、场所的人数，不含任何人。 By day, region and place; nobody is named.",
            "FiguresTable",
            [_REGION, *_DAYS, *PAGE],
        ),
        "/v1/supervision/refusals": _table(
            "listRefusals",
            "逐次未认可 · Refusals",
            "新者在前，每次均可按当时所知重开。 Newest first; each can be opened again as known then.",
            "RefusalsTable",
            [_PURPOSE, _REGION, *_DAYS, *PAGE],
        ),
        "/v1/supervision/refusals:reopen": post(
            "reopenRefusal",
            "重开一次未认可 · Open a refusal again",
            "按当时所知、当时的规则重新判定。 Judged again, as known then, under the policy of then.",
            ("ReopenRequest", {"refusalId": "00000000000000000000000000000000"}),
            ("Reopened", None),
            tag="监督 Supervision",
        ),
        "/v1/supervision/openData": _file(
            "streamOpenData",
            "公开数据 · Open data",
            "已过之日的统计，小数不公布，合计亦不泄露。 Of closed days; small figures are hidden, and no sum tells them.",
            _DAYS,
        ),
        "/v1/supervision/openDataDictionary": get(
            "getOpenDataDictionary",
            "监督 Supervision",
            "公开数据的说明 · The data dictionary",
            "每列的含义。 What each column means.",
            {
                "200": {
                    "description": "成功。 Answered.",
                    "headers": {"traceparent": {"$ref": "#/components/headers/traceparent"}},
                    "content": {"text/csv": {"schema": {"type": "string"}}},
                }
            },
        ),
        "/v1/supervision/laboratories": _table(
            "listLaboratoryQuality",
            "检测机构质量 · Laboratories",
            "按采样日的时效、逾期、修订、撤回、矛盾。 By day of sampling: turnaround, overdue, amended, withdrawn.",
            "LaboratoriesTable",
            [_STORE, *_DAYS, *PAGE],
        ),
        "/v1/supervision/overdueSamples": _table(
            "listOverdueSamples",
            "逾期样本 · Overdue samples",
            "旧者在前，应致电其机构。 Oldest first, to call the laboratory.",
            "OverdueTable",
            [_STORE, *_DAYS, *PAGE],
        ),
        "/v1/supervision/conflicts": _table(
            "listConflicts",
            "待处理的冲突 · Conflicts",
            "旧者在前。 Oldest first.",
            "ConflictsTable",
            [_PURPOSE, _STORE, *PAGE],
        ),
        "/v1/supervision/conflicts:settle": post(
            "settleConflict",
            "处理一项冲突 · Settle a conflict",
            "保留原内容或采用所报内容；同一人的，为一次修订。 What was stored stays, or what was offered is taken.",
            (
                "SettleRequest",
                {
                    "conflictId": "9b1c0d7a5f3e4b2a8c6d0e1f",
                    "settlement": "STORED_KEPT",
                    "cause": "原始记录已核对 checked against the original",
                    "store": "430000",
                },
            ),
            ("Settled", None),
            tag="监督 Supervision",
        ),
        "/v1/supervision/overdueSamples:requestResult": post(
            "requestResult",
            "催报 · Ask for a late result",
            "送达检测机构的纠错队列，其答复见逾期样本。 Reaches the laboratory's queue; its answer stands with the sample.",
            ("RequestResultRequest", {"region": "430000", "sourceId": "XY-20220805-0042"}),
            ("Inquired", None),
            tag="监督 Supervision",
        ),
        "/v1/supervision/policies": _table(
            "findStricterPolicies",
            "严于通知的规则 · Stricter policies",
            "每条附一反例。 Each with a case that shows it.",
            "PoliciesTable",
            [],
        ),
    }
