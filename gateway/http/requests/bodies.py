"""The bodies of requests.

A field that is absent has its default here, and is left to the admission, which both transports share, so that both
refuse it for the same reason.
"""

# ruff: noqa: E501  # a text in two languages is one text

from collections.abc import MutableSequence
from typing import Annotated

import msgspec
from hutong.common.v1 import subject_pb2
from hutong.gateway.v1 import certificate_pb2
from hutong.gateway.v1 import health_code_service_pb2 as pb

from gateway.http.fields import REQUIRED, RegionCode, asked_instant, described, one_of
from gateway.http.names import CERTIFICATE_FORMAT, CORRECTION_KIND, DESTINATION_VIEW, DOCUMENT_TYPE, SCENE, SCOPE
from gateway.http.requests.instants import read_instant
from services.common.errors import Violation
from services.common.requests.batches import MOST_IN_BATCH
from services.common.requests.paging import bad_page_size

_MANY = {"minItems": 1, "maxItems": MOST_IN_BATCH}

AskedAt = Annotated[
    str,
    asked_instant(
        "判定的时刻，须带时区偏移；缺省为现在，且只有现在的结果会缓存。"
        " The instant judged, with an offset; now when absent, and only answers for now are cached."
    ),
]
AskedScene = Annotated[
    str, one_of(SCENE, "场所；缺省为健康码本身。 The place that asks; the health code itself when absent.")
]
RequestId = Annotated[
    str,
    described("调用方选定的 UUID，重试时不变。 A UUID chosen by the caller, the same in every retry.", format="uuid"),
]


class Body(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """An object that is sent: no field but these."""


class Document(Body):
    """身份证件；号码转为人员标识后即弃，不存不记。 An identity document; its number is turned into a key and forgotten."""

    type: Annotated[str, one_of(DOCUMENT_TYPE, "证件类型。 The kind of document."), REQUIRED] = ""
    number: Annotated[
        str, described("证件号码；全角、空格、大小写不拘。 As printed; width, blanks and case do not matter."), REQUIRED
    ] = ""

    def fill(self, message: subject_pb2.Document) -> None:
        """Writes itself into the contract's form."""
        message.type = DOCUMENT_TYPE.number(self.type)  # type: ignore[assignment]  # an open enum
        message.number = self.number


class HealthCodeQuery(Body):
    """一次亮码。 One question."""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)
    region: Annotated[RegionCode, REQUIRED] = ""
    scope: (
        Annotated[
            str,
            one_of(
                SCOPE,
                "缺省按持码人的开关。 Left to the holder's switch when absent. LOCAL 本省库, NATIONAL 全国库.",
            ),
        ]
        | None
    ) = None
    scene: AskedScene | None = None
    at: AskedAt | None = None
    refresh: Annotated[bool, described("绕过缓存。 Past the cache.")] = False
    known_at: (
        Annotated[
            str,
            asked_instant(
                "按当时所知判定，须带时区偏移；缺省为现在。与 at 同填即得当时给出的判定，从不缓存。"
                " As known then, with an offset; now when absent. With at it gives what was given then; never cached."
            ),
        ]
        | None
    ) = None

    def fill(self, message: pb.HealthCodeQuery, violations: MutableSequence[Violation], path: str = "") -> None:
        """Writes itself into the contract's form; adds a violation, its field below `path`, for each instant that is
        none."""
        self.document.fill(message.document)
        message.region = self.region
        if self.scope:
            message.scope = SCOPE.number(self.scope)  # type: ignore[assignment]  # an open enum
        if self.scene:
            message.scene = SCENE.number(self.scene)  # type: ignore[assignment]  # an open enum
        if self.refresh:
            message.refresh = True
        if self.at is not None:
            read_instant(self.at, message.at, f"{path}at", violations)
        if self.known_at is not None:
            read_instant(self.known_at, message.known_at, f"{path}known_at", violations)


def plain_fields(query: HealthCodeQuery) -> int:
    """Counts the fields of the common query, which names a document and a region and nothing else."""
    return 4 if query.region and query.document.type and query.document.number else -1


class BatchShowRequest(Body):
    """批量亮码。 Many questions."""

    queries: Annotated[list[HealthCodeQuery], described("1 至 1000 项。 1 to 1,000.", **_MANY), REQUIRED] = (
        msgspec.field(default_factory=list)
    )

    def fill(self, message: pb.BatchShowHealthCodesRequest, violations: list[MutableSequence[Violation]]) -> None:
        """Writes itself into the contract's form; adds the violations of each query, in order."""
        for index, query in enumerate(self.queries):
            violations.append([])
            query.fill(message.queries.add(), violations[-1], f"queries[{index}].")


class DestinationsRequest(Body):
    """在哪些地区被认可。 Where is this person recognised?"""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)
    regions: (
        Annotated[list[RegionCode], described("缺省为全部有规则的地区。 Every region that has a policy when absent.")]
        | None
    ) = None
    scene: AskedScene | None = None
    at: AskedAt | None = None
    view: (
        Annotated[
            str,
            one_of(
                DESTINATION_VIEW,
                "BASIC 各地颜色、结论、到期与首要原因（缺省）, FULL 完整的码。 BASIC, when absent: colour, word, until when and the one reason that matters; FULL: whole codes.",
            ),
        ]
        | None
    ) = None

    def fill(self, message: pb.CheckDestinationsRequest, violations: MutableSequence[Violation]) -> None:
        """Writes itself into the contract's form; adds a violation when the instant is none."""
        self.document.fill(message.document)
        message.regions.extend(self.regions or ())
        if self.scene:
            message.scene = SCENE.number(self.scene)  # type: ignore[assignment]  # an open enum
        if self.at is not None:
            read_instant(self.at, message.at, "at", violations)
        if self.view:
            message.view = DESTINATION_VIEW.number(self.view)  # type: ignore[assignment]  # an open enum


class ResultsRequest(Body):
    """查检测结果。 Which results does this person have?"""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)
    page_size: Annotated[int, described("至多 200，0 为 50。 At most 200; 0 means 50.", minimum=0)] = 0
    page_token: Annotated[str, described("上一页的 nextPageToken。 The nextPageToken of the page before.")] | None = (
        None
    )

    def fill(self, message: pb.ListResultsRequest) -> None:
        """Writes itself into the contract's form. Raises InvalidArgument (PAGE_SIZE)."""
        self.document.fill(message.document)
        message.page_size = page_size(self.page_size)
        message.page_token = self.page_token or ""


class BatchResultsRequest(Body):
    """批量查检测结果。 Which results do these people have?"""

    documents: Annotated[list[Document], described("1 至 1000 项。 1 to 1,000.", **_MANY), REQUIRED] = msgspec.field(
        default_factory=list
    )

    def fill(self, message: pb.BatchListResultsRequest) -> None:
        """Writes itself into the contract's form."""
        for document in self.documents:
            document.fill(message.documents.add())


class PassRequest(Body):
    """申请通行码。 Ask for a pass."""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)
    region: Annotated[RegionCode, REQUIRED] = ""
    scene: AskedScene | None = None

    def fill(self, message: pb.IssuePassRequest) -> None:
        """Writes itself into the contract's form."""
        self.document.fill(message.document)
        message.region = self.region
        message.scene = SCENE.number(self.scene)  # type: ignore[assignment]  # an open enum


class HolderName(Body):
    """持有人姓名，由地区系统或检测机构填写。 The holder's name, as a region's system or a laboratory vouches for it."""

    surname: Annotated[str, described("护照上的姓，如 WANG。 As in a passport."), REQUIRED] = ""
    given_name: Annotated[str, described("护照上的名，如 XIAOMING。 As in a passport.")] = ""
    written_name: Annotated[str, described("姓名原文，如 王小明。 As it is written.")] = ""

    def fill(self, message: certificate_pb2.HolderName) -> None:
        """Writes itself into the contract's form."""
        message.surname = self.surname
        message.given_name = self.given_name
        message.written_name = self.written_name


class CertificateRequest(Body):
    """申领核酸检测证明。 Ask for a test certificate."""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)
    region: Annotated[RegionCode, REQUIRED] = ""
    source_id: (
        Annotated[str, described("结果在该地区的编号；缺省为最新一次。 Its id there; the newest when absent.")] | None
    ) = None
    name: Annotated[HolderName, described("本人申领时不填。 Left out by people themselves.")] | None = None
    formats: Annotated[list[str], described("文本之外还要什么。 What is wanted besides the text.", items={"type": "string", "enum": list(CERTIFICATE_FORMAT.values)})] | None = None  # fmt: skip

    def fill(self, message: certificate_pb2.IssueCertificateRequest) -> None:
        """Writes itself into the contract's form."""
        self.document.fill(message.document)
        message.region = self.region
        message.source_id = self.source_id or ""
        if self.name is not None:
            self.name.fill(message.name)
        for name in self.formats or ():
            message.formats.append(CERTIFICATE_FORMAT.number(name))  # type: ignore[arg-type]  # an open enum


class VerifyRequest(Body):
    """核验一张证书。 Verify a certificate."""

    text: Annotated[str, described("证书文本，HC1: 开头。 The certificate's text, from HC1: on."), REQUIRED] = ""
    at: AskedAt | None = None

    def fill(self, message: certificate_pb2.VerifyCertificateRequest, violations: MutableSequence[Violation]) -> None:
        """Writes itself into the contract's form; adds a violation when the instant is none."""
        message.text = self.text
        if self.at is not None:
            read_instant(self.at, message.at, "at", violations)


class PresentRequest(Body):
    """出示其他地区的证书，作为本地区的依据。 Present a certificate of another region as evidence in this one."""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)
    region: Annotated[RegionCode, REQUIRED] = ""
    text: Annotated[str, described("证书文本，HC1: 开头。 The certificate's text, from HC1: on."), REQUIRED] = ""
    request_id: RequestId | None = None

    def fill(self, message: certificate_pb2.PresentCertificateRequest) -> None:
        """Writes itself into the contract's form."""
        self.document.fill(message.document)
        message.region = self.region
        message.text = self.text
        message.request_id = self.request_id or ""


class ClaimRequest(Body):
    """把外地结果纳入本地记录。 Make a result from elsewhere part of this region's record."""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)
    region: Annotated[RegionCode, REQUIRED] = ""
    origin_region: (
        Annotated[
            str,
            described(
                "结果所在地区；与 originSourceId 同时填写，或都不填即最新的外地结果。 The region that keeps it; with originSourceId, or neither: the newest from elsewhere."
            ),
        ]
        | None
    ) = None
    origin_source_id: Annotated[str, described("结果在该地区的编号。 Its id there.")] | None = None
    request_id: RequestId | None = None

    def fill(self, message: pb.ClaimResultRequest) -> None:
        """Writes itself into the contract's form."""
        self.document.fill(message.document)
        message.region = self.region
        message.origin_region = self.origin_region or ""
        message.origin_source_id = self.origin_source_id or ""
        message.request_id = self.request_id or ""


class SwitchRequest(Body):
    """切换省内库与全国库，直至再次切换。 Switch between the provincial and the national database, for good."""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)
    region: Annotated[RegionCode, REQUIRED] = ""
    scope: Annotated[str, one_of(SCOPE, "LOCAL 省内库, NATIONAL 全国库."), REQUIRED] = ""
    request_id: RequestId | None = None

    def fill(self, message: pb.SwitchScopeRequest) -> None:
        """Writes itself into the contract's form."""
        self.document.fill(message.document)
        message.region = self.region
        message.scope = SCOPE.number(self.scope)  # type: ignore[assignment]  # an open enum
        message.request_id = self.request_id or ""


class CorrectRequest(Body):
    """纠错：请检测机构更正本人的一条记录。 Ask the laboratory to correct one of the person's own records."""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)
    region: Annotated[RegionCode, REQUIRED] = ""
    source_id: Annotated[
        str, described("记录的编号；副本填原件的地区与编号。 Its id there; of a copy, the original's."), REQUIRED
    ] = ""
    kind: Annotated[
        str,
        one_of(
            CORRECTION_KIND,
            "NOT_MINE 不是我的, WRONG_RESULT 结果有误, WRONG_TIME 时间有误, MISSPELT 姓名或证件写错, RESULT_LATE 结果迟迟未出.",
        ),
        REQUIRED,
    ] = ""
    text: Annotated[
        str,
        described("补充说明，至多 200 字，不含证件号码。 At most 200 characters, no document numbers.", maxLength=200),
    ] = ""
    request_id: RequestId | None = None

    def fill(self, message: pb.RequestCorrectionRequest) -> None:
        """Writes itself into the contract's form."""
        self.document.fill(message.document)
        message.region = self.region
        message.source_id = self.source_id
        message.kind = CORRECTION_KIND.number(self.kind)  # type: ignore[assignment]  # an open enum
        message.text = self.text
        message.request_id = self.request_id or ""


class CorrectionsRequest(Body):
    """本人提过的纠错。 What has this person asked to have corrected?"""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)

    def fill(self, message: pb.ListHolderCorrectionRequestsRequest) -> None:
        """Writes itself into the contract's form."""
        self.document.fill(message.document)


class SignInRequest(Body):
    """以样例人员登录。 Signs in as a sample person."""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)


class SupervisorSignInRequest(Body):
    """以样例监督人员登录。 Signs in as the sample supervisor."""


def page_size(size: int) -> int:
    """Returns a page size that the contract can carry. Raises InvalidArgument (PAGE_SIZE)."""
    if not -(2**31) <= size < 2**31:
        raise bad_page_size()
    return size
