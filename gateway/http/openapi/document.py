"""The whole document, as served at /openapi.json."""

# ruff: noqa: E501  # a text in two languages is one text

from gateway.http.names import PURPOSE
from gateway.http.openapi import examples
from gateway.http.openapi.health_codes import health_code_paths
from gateway.http.openapi.operations import answered, get, post
from gateway.http.openapi.schemas import Json, schemas
from gateway.http.openapi.supervision import supervision_paths

_TAGS = {
    "健康码 Health code": "关于一个人的查询与决定。 What is asked and decided about a person.",
    "通行码 Passes": "无网络也能查验的通行码。 Passes that are checked with no network.",
    "地区 Regions": "谁在互通网上。 Who is on the mesh.",
    "监督 Supervision": "监督人员所见，不含任何人。 What supervisors see; nobody is named.",
    "样例 Samples": "虚构的人员，仅供试用。 Invented people, to try it with.",
}


def _tags(paths: Json) -> list[Json]:
    named = dict.fromkeys(tag for path in paths.values() for call in path.values() for tag in call["tags"])
    return [{"name": name, "description": _TAGS[name]} for name in named]


def document(sample_people: bool, *, sign_in: bool = False) -> Json:
    """Returns the OpenAPI document; with the sample people where they are served, and how they sign in where they
    can."""
    paths = {**health_code_paths(), **supervision_paths()}
    if sign_in:
        paths["/v1/sampleSupervisor:signIn"] = post(
            "signInAsSupervisor",
            "以样例监督人员登录 · Sign in as the sample supervisor",
            "仅开发环境提供。 Only in development.",
            ("SupervisorSignInRequest", {}),
            ("SignInResponse", {"token": "eyJhbGciOiJFZERTQSJ9.eyJyb2xlIjoic3VwZXJ2aXNvciJ9.c2ln", "expiresIn": 43200}),
            anonymous=True,
            tag="监督 Supervision",
        )
        paths["/v1/samplePeople:signIn"] = post(
            "signIn",
            "以样例人员登录 · Sign in as a sample person",
            "仅开发环境提供：换取该样例人员的令牌。 Only in development: the token of a sample person.",
            ("SignInRequest", {"document": examples.RESULTS["document"]}),
            ("SignInResponse", {"token": "eyJhbGciOiJFZERTQSJ9.eyJyb2xlIjoiaG9sZGVyIn0.c2ln", "expiresIn": 43200}),
            anonymous=True,
        )
    if sample_people:
        paths["/v1/samplePeople"] = get(
            "samplePeople",
            "样例 Samples",
            "样例人员 · Sample people",
            "虚构的样例人员，仅嵌入式运行时提供。 Invented people; only where the mesh runs embedded.",
            {"200": answered("成功。 Answered.", "SamplePeopleResponse", None)},
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "互通网关 · hutong gateway",
            "version": "1",
            "summary": "核酸检测结果全国互认。 National mutual recognition of nucleic-acid tests.",
            "description": (
                "一个问题，全国一个答案：此人的核酸检测在此地是否认可、为何、到何时。\n\n"
                "One national answer to one question: is this person's nucleic-acid test recognised here, now, and until"
                " when? The same calls are served over gRPC as hutong.gateway.v1.HealthCodeService, with the same reasons"
                " in the same errors.\n\n"
                "请求体为严格的 JSON：未知字段、错误类型均拒绝。时间须带时区偏移，返回一律 +08:00。缺失的值为 null。"
                " Bodies are strict JSON: unknown fields and wrong types are refused. Instants need an offset and come back"
                " at +08:00. What is absent is null."
            ),
            "contact": {"name": "hutong"},
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": _tags(paths),
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": (
                        "持码人、监护人、场所、检验机构、监督、运维的令牌，由受信的签发方签发（OIDC）。"
                        " A token of a holder, guardian, venue, laboratory, supervisor or operator, from an issuer that"
                        " the gateway trusts (OIDC)."
                    ),
                }
            },
            "parameters": {
                "traceparent": {
                    "name": "traceparent",
                    "in": "header",
                    "description": "W3C Trace Context；有则延续，应答中返回。 Continued when given, and answered.",
                    "schema": {"type": "string"},
                    "example": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                },
                "purpose": {
                    "name": "hutong-purpose",
                    "in": "header",
                    "description": "使用目的（个人信息保护法第六条）。 Why the data is read (PIPL, article 6).",
                    "schema": {"type": "string", "enum": list(PURPOSE.values), "default": "SHOW_CODE"},
                },
            },
            "headers": {
                "traceparent": {"description": "追踪位置。 The trace.", "schema": {"type": "string"}},
                "www-authenticate": {
                    "description": "应出示什么，及令牌为何无效。 What to show, and what is wrong with what was shown.",
                    "schema": {"type": "string"},
                },
                "allow": {"description": "适用的方法。 The methods that apply.", "schema": {"type": "string"}},
                "retry-after": {"description": "若干秒后重试。 Seconds to wait.", "schema": {"type": "integer"}},
            },
        },
    }
