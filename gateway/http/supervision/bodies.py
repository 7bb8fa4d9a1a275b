"""The bodies of what supervisors ask and decide."""

# ruff: noqa: E501  # a text in two languages is one text

from typing import Annotated

from gateway.http.fields import REQUIRED, RegionCode, described, one_of
from gateway.http.names import SETTLEMENT
from gateway.http.requests.bodies import Body


class ReopenRequest(Body):
    """重开一次未认可。 Judges a refusal again."""

    refusal_id: Annotated[str, described("编号。 Its id."), REQUIRED] = ""


class SettleRequest(Body):
    """处理一项冲突；同样再处理一次，不变。 Settles a conflict; the same again changes nothing."""

    conflict_id: Annotated[str, described("编号。 Its id."), REQUIRED] = ""
    settlement: Annotated[str, one_of(SETTLEMENT, "STORED_KEPT 保留原内容, OFFERED_TAKEN 采用所报内容."), REQUIRED] = ""
    cause: Annotated[str, described("原因，1 至 500 字，不含个人信息。 Why; no personal data."), REQUIRED] = ""
    store: Annotated[
        str,
        described(
            "所在的库：地区代码，缺省为国家库。 Whose store it is in: a region's code; the nation's when absent."
        ),
    ] = ""


class RequestResultRequest(Body):
    """就逾期样本向检测机构催报；已在等待答复，则不重复。 Asks a laboratory for a late result; not again while it waits."""

    region: Annotated[RegionCode, REQUIRED] = ""
    source_id: Annotated[str, described("样本编号。 The sample's number."), REQUIRED] = ""
    text: Annotated[str, described("附言，至多 200 字，不含证件号码。 What the laboratory is told besides.")] = ""
