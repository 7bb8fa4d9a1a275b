"""The reasons for which a certificate is not believed, one for each stage of reading it."""

from dataclasses import dataclass
from enum import StrEnum

from services.common.errors import Text


class Reason(StrEnum):
    """The reasons, in the order of the stages, then those of presenting it as evidence and of a gate. The first that
    applies is given."""

    PREFIX_UNKNOWN = "PREFIX_UNKNOWN"
    BASE45_MALFORMED = "BASE45_MALFORMED"
    COMPRESSION_MALFORMED = "COMPRESSION_MALFORMED"
    CERTIFICATE_TOO_LARGE = "CERTIFICATE_TOO_LARGE"
    CBOR_MALFORMED = "CBOR_MALFORMED"
    SIGNER_UNKNOWN = "SIGNER_UNKNOWN"
    SIGNATURE_WRONG = "SIGNATURE_WRONG"
    CLAIMS_MALFORMED = "CLAIMS_MALFORMED"
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"
    SIGNER_NOT_IN_FORCE = "SIGNER_NOT_IN_FORCE"
    KEY_USAGE_WRONG = "KEY_USAGE_WRONG"
    ISSUER_WRONG = "ISSUER_WRONG"
    SCHEMA_VIOLATED = "SCHEMA_VIOLATED"
    REVOKED = "REVOKED"
    NO_NUCLEIC_ACID_TEST = "NO_NUCLEIC_ACID_TEST"
    HOLDER_NOT_NAMED = "HOLDER_NOT_NAMED"
    OTHER_HOLDER = "OTHER_HOLDER"
    BUNDLE_OUT_OF_ORDER = "BUNDLE_OUT_OF_ORDER"
    NO_PASS = "NO_PASS"
    OTHER_REGION = "OTHER_REGION"
    OTHER_SCENE = "OTHER_SCENE"
    SCENE_MISSING = "SCENE_MISSING"
    PASS_USED = "PASS_USED"
    KEYS_MISSING = "KEYS_MISSING"
    KEYS_TOO_OLD = "KEYS_TOO_OLD"
    CLOCK_OFF = "CLOCK_OFF"


TEXTS = {
    Reason.PREFIX_UNKNOWN: Text("不是健康证书：应以 HC1: 开头", "not a health certificate: it should begin with HC1:"),
    Reason.BASE45_MALFORMED: Text("编码有误，请重新扫描", "its base45 cannot be decoded; scan it again"),
    Reason.COMPRESSION_MALFORMED: Text("压缩数据有误，请重新扫描", "its compressed data are broken; scan it again"),
    Reason.CERTIFICATE_TOO_LARGE: Text("证书过大", "the certificate is larger than any real one"),
    Reason.CBOR_MALFORMED: Text("证书结构有误", "its structure is not that of a signed certificate"),
    Reason.SIGNER_UNKNOWN: Text("签发者不在受信名单中", "the signer is not among those that are trusted"),
    Reason.SIGNATURE_WRONG: Text("签名不符：证书是伪造或被改动的", "the signature is wrong: forged or altered"),
    Reason.CLAIMS_MALFORMED: Text("证书内容不完整", "its claims cannot be read"),
    Reason.NOT_YET_VALID: Text("证书尚未生效", "the certificate is not valid yet"),
    Reason.EXPIRED: Text("证书已过期", "the certificate has expired"),
    Reason.SIGNER_NOT_IN_FORCE: Text("签发者的密钥此时无效", "the signer's own certificate is not in force"),
    Reason.KEY_USAGE_WRONG: Text("签发者无权签发这类证书", "the signer may not sign certificates of this kind"),
    Reason.ISSUER_WRONG: Text("签发者无权以该地区的名义签发", "the signer may not sign in the name of this region"),
    Reason.SCHEMA_VIOLATED: Text("证书内容不符合规范", "its content does not follow the schema"),
    Reason.REVOKED: Text("所依据的检测结果已作废", "a result that it rests on is void"),
    Reason.NO_NUCLEIC_ACID_TEST: Text("不是核酸检测证明", "it is no certificate of a nucleic-acid test"),
    Reason.HOLDER_NOT_NAMED: Text(
        "证书未注明由哪份证件持有，不能作为依据，请向签发地区重新申领",
        "it does not say whose document it belongs to, and is no evidence; have the issuing region issue it anew",
    ),
    Reason.OTHER_HOLDER: Text("这是他人的证书", "this is somebody else's certificate"),
    Reason.BUNDLE_OUT_OF_ORDER: Text("更新包的次序不对", "the bundle is not later, or follows one that is not here"),
    Reason.NO_PASS: Text("这不是通行码，请出示当前的通行码", "this is no pass; show the pass of this moment"),
    Reason.OTHER_REGION: Text("这是其他地区的通行码", "this pass is of another region"),
    Reason.OTHER_SCENE: Text("这是为其他场所出示的通行码", "this pass is for another kind of place"),
    Reason.SCENE_MISSING: Text(
        "没有按本场所判定：请持码人选择本场所", "not judged for this place; the holder chooses it"
    ),
    Reason.PASS_USED: Text("这个通行码刚才用过：请持码人刷新", "this very pass was shown before; the holder renews it"),
    Reason.KEYS_MISSING: Text("本机没有验证密钥，请先联网更新", "this gate has no keys yet; connect it once"),
    Reason.KEYS_TOO_OLD: Text("本机的验证密钥太旧，请联网更新", "this gate's keys are too old; connect it"),
    Reason.CLOCK_OFF: Text("本机时钟不准，请校准", "this gate's clock is wrong; set it"),
}


@dataclass(frozen=True)
class CertificateRefused(Exception):
    """The refusal of a certificate. `detail` is for logs, in English, and names no person."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        text = str(TEXTS[self.reason])
        return f"{self.reason}: {text} ({self.detail})" if self.detail else f"{self.reason}: {text}"
