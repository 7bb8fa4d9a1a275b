"""The whole document, as served at /openapi.json."""

# ruff: noqa: E501  # a text in two languages is one text

from gateway.http.names import PURPOSE
from gateway.http.openapi import examples
from gateway.http.openapi.schemas import CODE, Json, ref, schemas
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
_OF_CALLS = tuple(sorted({*_EVERYWHERE, 401, 403, 404, 409, 413, 415, 429, 503, 504}))


def _problem(status: int) -> Json:
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


def _answered(description: str, schema: str, example: Json | None) -> Json:
    content: Json = {"schema": CODE if schema == HealthCode.__name__ else ref(schema)}
    if example is not None:
        content["example"] = example
    return {
        "description": description,
        "headers": {"traceparent": {"$ref": "#/components/headers/traceparent"}},
        "content": {"application/json": content},
    }


def _post(
    operation: str,
    summary: str,
    description: str,
    asks: tuple[str, Json],
    gives: tuple[str, Json | None],
    *,
    anonymous: bool = False,
    tag: str = "健康码 Health code",
) -> Json:
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
                "200": _answered("成功。 Answered.", gives[0], gives[1]),
                **{str(status): _problem(status) for status in _OF_CALLS},
            },
        }
    }


def _get(
    operation: str,
    tag: str,
    summary: str,
    description: str,
    responses: Json,
    parameters: list[Json] | None = None,
) -> Json:
    return {
        "get": {
            "operationId": operation,
            "tags": [tag],
            "summary": summary,
            "description": description,
            "parameters": [{"$ref": "#/components/parameters/traceparent"}, *(parameters or [])],
            # Said, not left out: nothing is asked for.
            "security": [],
            "responses": {**responses, **{str(status): _problem(status) for status in _EVERYWHERE}},
        }
    }


_PAGE: list[Json] = [
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


def _calls() -> Json:
    return {
        "/v1/healthCode:show": _post(
            "showHealthCode",
            "亮码 · Show a code",
            "某人在某地区此刻的结论：颜色、核酸天数、有效期、依据与不足。"
            " The verdict on one person in one region: colour, days since test, validity, grounds and reasons.",
            ("HealthCodeQuery", examples.SHOW),
            ("HealthCode", examples.CODE),
        ),
        "/v1/healthCode:batchShow": _post(
            "batchShowHealthCodes",
            "批量亮码 · Show many codes",
            "一次至多 1000 项；一项出错不影响其余。 Up to 1,000; one that fails does not sink the others.",
            ("BatchShowRequest", examples.BATCH),
            ("BatchShowResponse", {"outcomes": [{"code": examples.CODE}]}),
        ),
        "/v1/destinations:check": _post(
            "checkDestinations",
            "目的地查询 · Check destinations",
            "此人在哪些地区被认可，到何时为止。 Where this person is recognised, and until when, in one answer.",
            ("DestinationsRequest", examples.DESTINATIONS),
            ("DestinationsResponse", {"destinations": [{"region": examples.REGION, "summary": examples.SUMMARY}]}),
        ),
        "/v1/results:list": _post(
            "listResults",
            "检测结果 · List results",
            "各地的检测结果与采样记录，新者在前，同一检测只列一次。"
            " Results and sampling records from everywhere, newest first, each test once.",
            ("ResultsRequest", examples.RESULTS),
            (
                "ResultsResponse",
                examples.RESULTS_PAGE,
            ),
        ),
        "/v1/results:batchList": _post(
            "batchListResults",
            "批量检测结果 · List many people's results",
            "一次至多 1000 人，每人第一页；证件有误不影响其余。"
            " Up to 1,000 people, the first page of each; a wrong document does not sink the others.",
            ("BatchResultsRequest", {"documents": [examples.RESULTS["document"]]}),
            (
                "BatchResultsResponse",
                {"outcomes": [{"results": examples.RESULTS_PAGE}]},
            ),
        ),
        "/v1/results:claim": _post(
            "claimResult",
            "上传外地结果 · Claim a result",
            "把外地结果纳入本地记录并注明出处，核酸天数随即更新；重复上传等于一次。"
            " A result from elsewhere becomes part of this region's record, with its provenance; the days since test"
            " change at once; twice is once.",
            ("ClaimRequest", examples.CLAIM),
            ("ClaimResponse", {"result": examples.RESULT, "created": True}),
        ),
        "/v1/healthCode:switchScope": _post(
            "switchScope",
            "切换省内库与全国库 · Switch scope",
            "仅限有此开关的地区，如辽宁、吉林。 Only where the region's code has the switch, as Liaoning and Jilin do.",
            ("SwitchRequest", examples.SWITCH),
            ("SwitchResponse", {"scope": "NATIONAL"}),
        ),
        "/v1/corrections:request": _post(
            "requestCorrection",
            "纠错 · Request a correction",
            "本人的一条记录有误，送到检测机构的待办；记录所在地区联系不上则答 503，以同一 requestId 再试即可。"
            " Something is wrong with one of the person's own records: it goes to the laboratory's queue. 503 when the"
            " region that keeps the record cannot be asked; the same requestId makes it one request.",
            ("CorrectRequest", examples.CORRECT),
            ("CorrectResponse", {"correctionRequest": examples.CORRECTION, "created": True}),
        ),
        "/v1/corrections:list": _post(
            "listHolderCorrectionRequests",
            "纠错的答复 · List corrections",
            "本人提过的纠错与检测机构的答复，新者在前。"
            " What the person asked to have corrected, and what the laboratories answered, newest first.",
            ("CorrectionsRequest", {"document": examples.RESULTS["document"]}),
            ("CorrectionsResponse", {"correctionRequests": [examples.CORRECTION], "coverage": []}),
        ),
        "/v1/passes:issue": _post(
            "issuePass",
            "通行码 · Issue a pass",
            "此人此刻的健康码，签名、三分钟内有效，场所离线亦可核验。"
            " The code of this person, signed for three minutes: a venue checks it with no network.",
            ("PassRequest", examples.SHOW),
            ("PassResponse", examples.PASS),
        ),
        "/v1/certificates:issue": _post(
            "issueCertificate",
            "核酸检测证明 · Issue a certificate",
            "由地区签名的一次检测结果，任何 HCERT 阅读器都能核验。本人可为自己申领；地区系统与检测机构须填写姓名。"
            " One result, signed by its region: any reader of HCERTs verifies it. People ask for their own; a region's system"
            " and a laboratory state the holder's name.",
            ("CertificateRequest", examples.CERTIFICATE_ASKED),
            ("CertificateResponse", examples.CERTIFICATE),
        ),
        "/v1/certificates:verify": _post(
            "verifyCertificate",
            "核验证书 · Verify a certificate",
            "签名、签发者的权限、有效期、内容规范、是否作废；不可信时说明原因，不算出错。"
            " Signature, key usage, validity, schema, revocation; why it is not believed is an answer, no error.",
            ("VerifyRequest", {"text": examples.CERTIFICATE["text"]}),
            ("VerificationResponse", examples.VERIFICATION),
        ),
        "/v1/certificates:present": _post(
            "presentCertificate",
            "出示外地证书 · Present a certificate",
            "其他地区的证书成为本地区的依据（渠道 CERTIFICATE），注明出处；须是本人的证书；重复出示等于一次。"
            " A certificate of another region becomes evidence in this one (channel CERTIFICATE), with its provenance; it must"
            " be the holder's own; twice is once.",
            ("PresentRequest", {**examples.CLAIM, "text": examples.CERTIFICATE["text"]}),
            ("PresentationResponse", {"record": examples.CERTIFIED, "created": True}),
        ),
        "/v1/pushKey": {
            "get": {
                **_get(
                    "getPushKey",
                    "健康码 Health code",
                    "提醒的公钥 · The key of messages",
                    "浏览器以此订阅（VAPID）；为 null 则本网关不发送提醒。"
                    " A browser subscribes with it (VAPID); null where the gateway sends no messages.",
                    {
                        "200": _answered(
                            "成功。 Answered.", "PushKeyResponse", {"applicationServerKey": examples.PUSH_KEY}
                        ),
                        **{str(status): _problem(status) for status in (400, 401, 403, 429, 503, 504)},
                    },
                )["get"],
                "security": [{"token": []}],
            }
        },
        "/v1/pushSubscriptions:put": _post(
            "putPushSubscription",
            "订阅提醒 · Subscribe",
            "有新结果或健康码将到期时提醒此设备；提醒不含结果、号码与姓名。重复订阅等于一次。"
            " This device is told when a result has arrived or the code is about to end; a message says no result, no number"
            " and no name. Twice is once.",
            ("PutSubscriptionRequest", examples.PUSH_ASKED),
            ("PutSubscriptionResponse", {"created": True}),
        ),
        "/v1/pushSubscriptions:delete": _post(
            "deletePushSubscription",
            "取消提醒 · Unsubscribe",
            "此设备不再收此人的提醒；没有订阅不算出错。 Told no more; one that is not there is no error.",
            ("DeleteSubscriptionRequest", examples.PUSH_DELETED),
            ("DeleteSubscriptionResponse", {"deleted": True}),
        ),
        "/v1/trustBundle": _get(
            "getTrustBundle",
            "通行码 Passes",
            "信任包 · The trust bundle",
            "核验通行码所需：公钥、签名的时刻、已作废者。 What a gate needs: keys, signed time, what is void.",
            {
                "200": _answered("成功。 Answered.", "TrustBundle", examples.BUNDLE),
                **{str(status): _problem(status) for status in (400, 401, 429, 503, 504)},
            },
        ),
        "/v1/accesses": {
            "get": {
                **_get(
                    "listAccesses",
                    "健康码 Health code",
                    "谁查过我 · Who looked at me",
                    "令牌所指之人的查询记录，新者在前，含被拒的查询；取自网关各副本的审计日志。"
                    " Who looked at the person of the token, or tried to, newest first, from the audit trails of the gateway's replicas.",
                    {
                        "200": _answered(
                            "成功。 Answered.",
                            "AccessesResponse",
                            {"accesses": [examples.ACCESS], "nextPageToken": None},
                        ),
                        **{str(status): _problem(status) for status in (400, 401, 403, 429, 503, 504)},
                    },
                    [{"$ref": "#/components/parameters/purpose"}, *_PAGE],
                )["get"],
                "security": [{"token": []}],
            }
        },
        "/v1/regions": _get(
            "listRegions",
            "地区 Regions",
            "地区目录 · List regions",
            "全部省级地区。 All province-level divisions.",
            {
                "200": _answered(
                    "成功。 Answered.",
                    "RegionsResponse",
                    {"regions": [examples.REGION], "nextPageToken": None},
                ),
                **{str(status): _problem(status) for status in (400, 401, 429, 503, 504)},
            },
            _PAGE,
        ),
    }


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
    answered = _answered("成功。 Answered.", schema, None)
    answered["content"]["text/csv"] = {"schema": {"type": "string"}}
    responses = {
        "200": answered,
        **{str(status): _problem(status) for status in (400, 401, 403, 429, 503, 504)},
    }
    call = _get(operation, "监督 Supervision", summary, description, responses, [*parameters, _FORMAT])
    return {"get": {**call["get"], "security": [{"token": []}]}}


def _file(operation: str, summary: str, description: str, parameters: list[Json]) -> Json:
    call = _table(operation, summary, description, "Problem", parameters)["get"]
    del call["responses"]["200"]["content"]["application/json"]
    return {"get": {**call, "parameters": call["parameters"][:-1]}}


def _supervision() -> Json:
    return {
        "/v1/supervision/figures": _table(
            "listFigures",
            "认可与未认可 · Figures",
            "按日、地区、场所的人数，不含任何人。 By day, region and place; nobody is named.",
            "FiguresTable",
            [_REGION, *_DAYS, *_PAGE],
        ),
        "/v1/supervision/refusals": _table(
            "listRefusals",
            "逐次未认可 · Refusals",
            "新者在前，每次均可按当时所知重开。 Newest first; each can be opened again as known then.",
            "RefusalsTable",
            [_PURPOSE, _REGION, *_DAYS, *_PAGE],
        ),
        "/v1/supervision/refusals:reopen": _post(
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
        "/v1/supervision/openDataDictionary": _get(
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
            [_STORE, *_DAYS, *_PAGE],
        ),
        "/v1/supervision/overdueSamples": _table(
            "listOverdueSamples",
            "逾期样本 · Overdue samples",
            "旧者在前，应致电其机构。 Oldest first, to call the laboratory.",
            "OverdueTable",
            [_STORE, *_DAYS, *_PAGE],
        ),
        "/v1/supervision/conflicts": _table(
            "listConflicts",
            "待处理的冲突 · Conflicts",
            "旧者在前。 Oldest first.",
            "ConflictsTable",
            [_PURPOSE, _STORE, *_PAGE],
        ),
        "/v1/supervision/conflicts:settle": _post(
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
        "/v1/supervision/overdueSamples:requestResult": _post(
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
    paths = {**_calls(), **_supervision()}
    if sign_in:
        paths["/v1/sampleSupervisor:signIn"] = _post(
            "signInAsSupervisor",
            "以样例监督人员登录 · Sign in as the sample supervisor",
            "仅开发环境提供。 Only in development.",
            ("SupervisorSignInRequest", {}),
            ("SignInResponse", {"token": "eyJhbGciOiJFZERTQSJ9.eyJyb2xlIjoic3VwZXJ2aXNvciJ9.c2ln", "expiresIn": 43200}),
            anonymous=True,
            tag="监督 Supervision",
        )
        paths["/v1/samplePeople:signIn"] = _post(
            "signIn",
            "以样例人员登录 · Sign in as a sample person",
            "仅开发环境提供：换取该样例人员的令牌。 Only in development: the token of a sample person.",
            ("SignInRequest", {"document": examples.RESULTS["document"]}),
            ("SignInResponse", {"token": "eyJhbGciOiJFZERTQSJ9.eyJyb2xlIjoiaG9sZGVyIn0.c2ln", "expiresIn": 43200}),
            anonymous=True,
        )
    if sample_people:
        paths["/v1/samplePeople"] = _get(
            "samplePeople",
            "样例 Samples",
            "样例人员 · Sample people",
            "虚构的样例人员，仅嵌入式运行时提供。 Invented people; only where the mesh runs embedded.",
            {"200": _answered("成功。 Answered.", "SamplePeopleResponse", None)},
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
