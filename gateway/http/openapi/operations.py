"""The parts that the calls of the document are made of."""

# ruff: noqa: E501  # a text in two languages is one text

from gateway.http.openapi import examples
from gateway.http.openapi.schemas import CODE, Json, ref
from gateway.http.views.code import HealthCode

_ERRORS = {
    400: "请求有误：字段见 violations；或在当前状态下不可行。 The request is wrong, see violations; or impossible in the present state.",
    401: "未出示令牌，或令牌无效，见 reason。 No token, or one that will not do; see reason.",
    403: "令牌无权如此查询。 The token does not allow this.",
    404: "所指的不存在。 What was named does not exist.",
    409: "与已有内容冲突。 In conflict with what is stored.",
    405: "方法不适用，见 Allow。 Wrong method; see Allow.",
    413: "请求体超过 1 MiB。 A body of more than 1 MiB.",
    415: "内容类型不是 application/json。 The content type is not application/json.",
    431: "请求头过大。 The head of the request is too large.",
    429: "超出限额，按 Retry-After 等待。 A limit is exceeded; wait as Retry-After says.",
    500: "内部错误，凭 traceId 追查。 An internal error; ask with its traceId.",
    503: "暂时无法回答，可重试；绝不等于“没有检测”。 Could not be asked, retry; never the same as no test.",
    504: "未及时应答，可重试。 No answer in time; retry.",
}


_EVERYWHERE = (400, 405, 431, 500)
"""Any request may get these answers, whatever its path: its head is read first."""
OF_CALLS = tuple(sorted({*_EVERYWHERE, 401, 403, 404, 409, 413, 415, 429, 503, 504}))


def problem(status: int) -> Json:
    """Returns what an answer of this status is."""
    content: Json = {"schema": ref("Problem")}
    if status == 400:
        content["example"] = examples.PROBLEM
    headers = {"traceparent": {"$ref": "#/components/headers/traceparent"}}
    if status == 405:
        headers["allow"] = {"$ref": "#/components/headers/allow"}
    if status == 401:
        headers["www-authenticate"] = {"$ref": "#/components/headers/www-authenticate"}
    if status in (429, 503):
        headers["retry-after"] = {"$ref": "#/components/headers/retry-after"}
    return {"description": _ERRORS[status], "headers": headers, "content": {"application/problem+json": content}}


def answered(description: str, schema: str, example: Json | None) -> Json:
    """Returns what an answer of a schema is."""
    content: Json = {"schema": CODE if schema == HealthCode.__name__ else ref(schema)}
    if example is not None:
        content["example"] = example
    return {
        "description": description,
        "headers": {"traceparent": {"$ref": "#/components/headers/traceparent"}},
        "content": {"application/json": content},
    }


def post(
    operation: str,
    summary: str,
    description: str,
    asks: tuple[str, Json],
    gives: tuple[str, Json | None],
    *,
    anonymous: bool = False,
    tag: str = "健康码 Health code",
) -> Json:
    """Returns a call that sends a body: the names of its schema and of the answer's, each with an example."""
    return {
        "post": {
            "operationId": operation,
            "tags": [tag],
            "summary": summary,
            "description": description,
            "parameters": [
                {"$ref": "#/components/parameters/traceparent"},
                {"$ref": "#/components/parameters/purpose"},
            ],
            "security": [{"token": []}, *([{}] if anonymous else [])],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": ref(asks[0]), "example": asks[1]}},
            },
            "responses": {
                "200": answered("成功。 Answered.", gives[0], gives[1]),
                **{str(status): problem(status) for status in OF_CALLS},
            },
        }
    }


def get(
    operation: str,
    tag: str,
    summary: str,
    description: str,
    responses: Json,
    parameters: list[Json] | None = None,
) -> Json:
    """Returns a call that sends none, and needs no token."""
    return {
        "get": {
            "operationId": operation,
            "tags": [tag],
            "summary": summary,
            "description": description,
            "parameters": [{"$ref": "#/components/parameters/traceparent"}, *(parameters or [])],
            # Said, not left out: nothing is asked for.
            "security": [],
            "responses": {**responses, **{str(status): problem(status) for status in _EVERYWHERE}},
        }
    }


PAGE: list[Json] = [
    {
        "name": "pageSize",
        "in": "query",
        "schema": {"type": "integer", "minimum": 0},
        "description": "0 为 100。 0 means 100.",
    },
    {
        "name": "pageToken",
        "in": "query",
        "schema": {"type": "string"},
        "description": "上一页的 nextPageToken。 Of the page before.",
    },
]
