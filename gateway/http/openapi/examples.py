"""Examples of requests and answers. The document is that of GB 11643's own example; nobody has it."""

from gateway.http.openapi.schemas import Json

DOCUMENT = {"type": "RESIDENT_ID", "number": "11010519491231002X"}

SHOW: Json = {"document": DOCUMENT, "region": "110000"}
BATCH: Json = {"queries": [SHOW, {"document": DOCUMENT, "region": "210000", "scope": "LOCAL"}]}
DESTINATIONS: Json = {"document": DOCUMENT, "regions": ["110000", "310000"]}
RESULTS: Json = {"document": DOCUMENT}
CLAIM: Json = {"document": DOCUMENT, "region": "110000", "requestId": "6f1f0b1e-6c1e-4a63-9f2e-0c7b6ad5a0d1"}
SWITCH: Json = {"document": DOCUMENT, "region": "210000", "scope": "NATIONAL"}

_REF = {"region": "430000", "sourceId": "XY-20220805-0042", "revision": 1}
_RECORD: Json = {
    "region": "430000",
    "sourceId": "XY-20220805-0042",
    "revision": 1,
    "kind": "RESULT",
    "sampledAt": "2022-08-05T08:10:00+08:00",
    "reportedAt": "2022-08-05T13:20:00+08:00",
    "result": "NEGATIVE",
    "tube": "SINGLE",
    "laboratory": "430000-xiangya",
    "site": "430100",
    "channel": "LABORATORY",
    "origin": None,
    "action": "SUBMITTED",
    "cause": None,
    "recordedAt": "2022-08-05T13:21:00+08:00",
    "writtenBy": None,
}
CODE: Json = {
    "freshness": "COMPUTED",
    "age": None,
    "region": "110000",
    "scope": "NATIONAL",
    "at": "2022-08-06T09:00:00+08:00",
    "status": "RECOGNISED",
    "colour": "GREEN",
    "daysSinceTest": 1,
    "validUntil": "2022-08-08T13:20:00+08:00",
    "freshUntil": "2022-08-07T00:00:00+08:00",
    "grounds": [
        {
            "clause": "result-72h",
            "text": {"zh": "72小时内的阴性报告", "en": "A negative report within 72 hours"},
            "evidence": [_REF],
            "validUntil": "2022-08-08T13:20:00+08:00",
        }
    ],
    "reasons": [],
    "furtherReasons": [],
    "coverage": [
        {"source": "110000", "status": "OK", "asOf": "2022-08-06T09:00:00+08:00"},
        {"source": "nation", "status": "OK", "asOf": "2022-08-06T08:59:59.500000+08:00"},
    ],
    "policy": {
        "region": "110000",
        "id": "110000-2022-07-02",
        "effectiveFrom": "2022-07-02T00:00:00+08:00",
        "contentHash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
    "computedAt": "2022-08-06T09:00:00+08:00",
    "notice": None,
    "nationalWouldRecognise": False,
    "daysEvidence": _REF,
    "newestTest": _RECORD,
    "scene": None,
    "judgedBySceneRules": False,
}
REGION: Json = {
    "region": "110000",
    "displayName": {"zh": "北京市", "en": "Beijing"},
    "healthCode": "北京健康宝",
    "bloc": None,
    "interopMode": "SHARE",
    "onMesh": True,
    "scopeSwitch": False,
}
SUMMARY: Json = {
    "status": "RECOGNISED",
    "colour": "GREEN",
    "validUntil": "2022-08-08T13:20:00+08:00",
    "reason": "result-72h",
    "text": {"zh": "72小时内的阴性报告", "en": "A negative report within 72 hours"},
    "freshness": "COMPUTED",
}
RESULT: Json = {"record": _RECORD, "originRegion": "430000", "copiedTo": ["110000"]}
_LABORATORY: Json = {
    "laboratory": "430000-xiangya",
    "displayName": {"zh": "湘雅医院", "en": "Xiangya Hospital"},
    "contact": "0731-0000 0000",
}
RESULTS_PAGE: Json = {
    "results": [RESULT],
    "coverage": [],
    "nextPageToken": None,
    "laboratories": [_LABORATORY],
}

PROBLEM: Json = {
    "type": "urn:hutong:reason:INVALID_ARGUMENT",
    "title": "请求有误 / Bad request",
    "status": 400,
    "detail": "请求有误 / The request is not valid",
    "reason": "INVALID_ARGUMENT",
    "violations": [
        {
            "field": "document.number",
            "reason": "DOCUMENT_NUMBER_CHECK",
            "message": {"zh": "身份证号码校验码不符", "en": "The id's check character does not match"},
        }
    ],
    "metadata": {},
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
}

ACCESS: Json = {
    "at": "2022-08-05T13:20:00+08:00",
    "caller": "region/110000/venue/south-station",
    "method": "ShowHealthCode",
    "purpose": "VENUE_CHECK",
    "outcome": "OK",
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
}

PASS: Json = {
    "text": "HC1:NCFOXN…",
    "issuedAt": "2022-08-06T09:00:00+08:00",
    "expiresAt": "2022-08-06T09:03:00+08:00",
    "maskedName": "张*",
    "qrSvg": "<svg/>",
    "code": CODE,
    "leftOut": None,
}
BUNDLE: Json = {"bundle": "eNo=", "root": "MFkw", "madeAt": "2022-08-06T09:00:00+08:00"}

CORRECT: Json = {
    "document": RESULTS["document"],
    "region": "430000",
    "sourceId": "S20220805-0001",
    "kind": "WRONG_TIME",
    "text": "采样是 8 月 4 日晚上",
    "requestId": "123e4567-e89b-12d3-a456-426614174000",
}
CORRECTION: Json = {
    "id": "1f0c6a52b9d3e847",
    "region": "430000",
    "sourceId": "S20220805-0001",
    "revision": 1,
    "laboratory": "430000-xiangya",
    "kind": "WRONG_TIME",
    "text": "采样是 8 月 4 日晚上",
    "requestedAt": "2022-08-05T20:00:00+08:00",
    "laterRevision": None,
    "answer": {
        "answer": "CORRECTED",
        "correctedBy": 2,
        "forwardedTo": None,
        "text": "已按采样点记录更正",
        "answeredAt": "2022-08-06T09:30:00+08:00",
    },
}
PUSH_KEY = "BPZ5Fq2Rk5sv0fCAKOrhxaDuXrTWhUGRYIpIkEsp4ycFkgUlrjTuHc1Yj0bLtpbkGNDdRKV2uMdbVnXqiqFAVJE"
_ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABf"
PUSH_ASKED: Json = {
    "document": DOCUMENT,
    "subscription": {"endpoint": _ENDPOINT, "keys": {"p256dh": PUSH_KEY, "auth": "qwJ3mFhY3zVZc4rJ0Qm2sg"}},
    "region": "110000",
    "language": "CHINESE",
}
PUSH_DELETED: Json = {"document": DOCUMENT, "endpoint": _ENDPOINT}
CERTIFICATE_ASKED: Json = {"document": DOCUMENT, "region": "430000", "formats": ["QR_SVG"]}
CERTIFICATE: Json = {
    "text": "HC1:NCFOXN",
    "identifier": "URN:UVCI:01:CN:430000/0B9C5A1D4F2E7A6B8C3D1E5F#M",
    "issuedAt": "2022-08-05T14:00:00+08:00",
    "expiresAt": "2022-08-12T14:00:00+08:00",
    "qrSvg": "<svg/>",
    "qrPng": None,
    "pdf": None,
    "leftOut": None,
}
VERIFICATION: Json = {
    "verified": True,
    "reason": None,
    "text": None,
    "certificate": {
        "group": "t",
        "maskedName": "W* X*",
        "born": "12-31",
        "result": "NEGATIVE",
        "nucleicAcid": True,
        "sampledAt": "2022-08-05T08:10:00+08:00",
        "issuedAt": "2022-08-05T14:00:00+08:00",
        "expiresAt": "2022-08-12T14:00:00+08:00",
        "region": "430000",
        "country": "CN",
        "standingChecked": True,
    },
}
CERTIFIED: Json = {
    **_RECORD,
    "region": "110000",
    "sourceId": "cert-430000-XY-20220805-0042",
    "channel": "CERTIFICATE",
    "origin": _REF,
}
