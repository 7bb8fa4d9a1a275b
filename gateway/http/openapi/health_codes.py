"""The calls of people, venues and regions, as the document has them."""

# ruff: noqa: E501  # a text in two languages is one text

from gateway.http.openapi import examples
from gateway.http.openapi.operations import PAGE, answered, get, post, problem
from gateway.http.openapi.schemas import Json


def health_code_paths() -> Json:
    """Returns the calls of people, venues and regions, by path."""
    return {
        "/v1/healthCode:show": post(
            "showHealthCode",
            "亮码 · Show a code",
            "某人在某地区此刻的结论：颜色、核酸天数、有效期、依据与不足。"
            " The verdict on one person in one region: colour, days since test, validity, grounds and reasons.",
            ("HealthCodeQuery", examples.SHOW),
            ("HealthCode", examples.CODE),
        ),
        "/v1/healthCode:batchShow": post(
            "batchShowHealthCodes",
            "批量亮码 · Show many codes",
            "一次至多 1000 项；一项出错不影响其余。 Up to 1,000; one that fails does not sink the others.",
            ("BatchShowRequest", examples.BATCH),
            ("BatchShowResponse", {"outcomes": [{"code": examples.CODE}]}),
        ),
        "/v1/destinations:check": post(
            "checkDestinations",
            "目的地查询 · Check destinations",
            "此人在哪些地区被认可，到何时为止。 Where this person is recognised, and until when, in one answer.",
            ("DestinationsRequest", examples.DESTINATIONS),
            ("DestinationsResponse", {"destinations": [{"region": examples.REGION, "summary": examples.SUMMARY}]}),
        ),
        "/v1/results:list": post(
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
        "/v1/results:batchList": post(
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
        "/v1/results:claim": post(
            "claimResult",
            "上传外地结果 · Claim a result",
            "把外地结果纳入本地记录并注明出处，核酸天数随即更新；重复上传等于一次。"
            " A result from elsewhere becomes part of this region's record, with its provenance; the days since test"
            " change at once; twice is once.",
            ("ClaimRequest", examples.CLAIM),
            ("ClaimResponse", {"result": examples.RESULT, "created": True}),
        ),
        "/v1/healthCode:switchScope": post(
            "switchScope",
            "切换省内库与全国库 · Switch scope",
            "仅限有此开关的地区，如辽宁、吉林。 Only where the region's code has the switch, as Liaoning and Jilin do.",
            ("SwitchRequest", examples.SWITCH),
            ("SwitchResponse", {"scope": "NATIONAL"}),
        ),
        "/v1/corrections:request": post(
            "requestCorrection",
            "纠错 · Request a correction",
            "本人的一条记录有误，送到检测机构的待办；记录所在地区联系不上则答 503，以同一 requestId 再试即可。"
            " Something is wrong with one of the person's own records: it goes to the laboratory's queue. 503 when the"
            " region that keeps the record cannot be asked; the same requestId makes it one request.",
            ("CorrectRequest", examples.CORRECT),
            ("CorrectResponse", {"correctionRequest": examples.CORRECTION, "created": True}),
        ),
        "/v1/corrections:list": post(
            "listHolderCorrectionRequests",
            "纠错的答复 · List corrections",
            "本人提过的纠错与检测机构的答复，新者在前。"
            " What the person asked to have corrected, and what the laboratories answered, newest first.",
            ("CorrectionsRequest", {"document": examples.RESULTS["document"]}),
            ("CorrectionsResponse", {"correctionRequests": [examples.CORRECTION], "coverage": []}),
        ),
        "/v1/passes:issue": post(
            "issuePass",
            "通行码 · Issue a pass",
            "此人此刻的健康码，签名、三分钟内有效，场所离线亦可核验。"
            " The code of this person, signed for three minutes: a venue checks it with no network.",
            ("PassRequest", examples.SHOW),
            ("PassResponse", examples.PASS),
        ),
        "/v1/certificates:issue": post(
            "issueCertificate",
            "核酸检测证明 · Issue a certificate",
            "由地区签名的一次检测结果，任何 HCERT 阅读器都能核验。本人可为自己申领；地区系统与检测机构须填写姓名。"
            " One result, signed by its region: any reader of HCERTs verifies it. People ask for their own; a region's system"
            " and a laboratory state the holder's name.",
            ("CertificateRequest", examples.CERTIFICATE_ASKED),
            ("CertificateResponse", examples.CERTIFICATE),
        ),
        "/v1/certificates:verify": post(
            "verifyCertificate",
            "核验证书 · Verify a certificate",
            "签名、签发者的权限、有效期、内容规范、是否作废；不可信时说明原因，不算出错。"
            " Signature, key usage, validity, schema, revocation; why it is not believed is an answer, no error.",
            ("VerifyRequest", {"text": examples.CERTIFICATE["text"]}),
            ("VerificationResponse", examples.VERIFICATION),
        ),
        "/v1/certificates:present": post(
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
                **get(
                    "getPushKey",
                    "健康码 Health code",
                    "提醒的公钥 · The key of messages",
                    "浏览器以此订阅（VAPID）；为 null 则本网关不发送提醒。"
                    " A browser subscribes with it (VAPID); null where the gateway sends no messages.",
                    {
                        "200": answered(
                            "成功。 Answered.", "PushKeyResponse", {"applicationServerKey": examples.PUSH_KEY}
                        ),
                        **{str(status): problem(status) for status in (400, 401, 403, 429, 503, 504)},
                    },
                )["get"],
                "security": [{"token": []}],
            }
        },
        "/v1/pushSubscriptions:put": post(
            "putPushSubscription",
            "订阅提醒 · Subscribe",
            "有新结果或健康码将到期时提醒此设备；提醒不含结果、号码与姓名。重复订阅等于一次。"
            " This device is told when a result has arrived or the code is about to end; a message says no result, no number"
            " and no name. Twice is once.",
            ("PutSubscriptionRequest", examples.PUSH_ASKED),
            ("PutSubscriptionResponse", {"created": True}),
        ),
        "/v1/pushSubscriptions:delete": post(
            "deletePushSubscription",
            "取消提醒 · Unsubscribe",
            "此设备不再收此人的提醒；没有订阅不算出错。 Told no more; one that is not there is no error.",
            ("DeleteSubscriptionRequest", examples.PUSH_DELETED),
            ("DeleteSubscriptionResponse", {"deleted": True}),
        ),
        "/v1/trustBundle": get(
            "getTrustBundle",
            "通行码 Passes",
            "信任包 · The trust bundle",
            "核验通行码所需：公钥、签名的时刻、已作废者。 What a gate needs: keys, signed time, what is void.",
            {
                "200": answered("成功。 Answered.", "TrustBundle", examples.BUNDLE),
                **{str(status): problem(status) for status in (400, 401, 429, 503, 504)},
            },
        ),
        "/v1/accesses": {
            "get": {
                **get(
                    "listAccesses",
                    "健康码 Health code",
                    "谁查过我 · Who looked at me",
                    "令牌所指之人的查询记录，新者在前，含被拒的查询；取自网关各副本的审计日志。"
                    " Who looked at the person of the token, or tried to, newest first, from the audit trails of the gateway's replicas.",
                    {
                        "200": answered(
                            "成功。 Answered.",
                            "AccessesResponse",
                            {"accesses": [examples.ACCESS], "nextPageToken": None},
                        ),
                        **{str(status): problem(status) for status in (400, 401, 403, 429, 503, 504)},
                    },
                    [{"$ref": "#/components/parameters/purpose"}, *PAGE],
                )["get"],
                "security": [{"token": []}],
            }
        },
        "/v1/regions": get(
            "listRegions",
            "地区 Regions",
            "地区目录 · List regions",
            "全部省级地区。 All province-level divisions.",
            {
                "200": answered(
                    "成功。 Answered.",
                    "RegionsResponse",
                    {"regions": [examples.REGION], "nextPageToken": None},
                ),
                **{str(status): problem(status) for status in (400, 401, 429, 503, 504)},
            },
            PAGE,
        ),
    }
