"""`hutong certificate issue|verify|signer`: test certificates that any verifier of HCERTs reads."""

import argparse
import sys
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

from cli.exits import Exit, complain
from services.common.errors import Text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    verify = commands.add_parser("verify", help="核验一张证书 / verify a certificate")
    verify.add_argument("certificate", help="HC1: 开头的文本、文件，或 - / the text, a file, or - for standard input")
    verify.add_argument(
        "--trust", type=Path, required=True, help="受信签发者的目录 / a folder of signers' certificates"
    )
    verify.add_argument("--at", help="核验时刻，RFC 3339，缺省为现在 / at which instant, by default now")
    verify.add_argument("--json", action="store_true", help="以 JSON 输出 / print JSON")
    verify.set_defaults(run=run_verify)
    issue = commands.add_parser("issue", help="签发一张证书 / issue a certificate")
    issue.add_argument("--signer", type=Path, required=True, help="签发者证书，PEM / the signer's certificate")
    issue.add_argument("--key", type=Path, required=True, help="签发者私钥，PEM / the signer's private key")
    issue.add_argument("--surname", required=True, help="姓，护照字母，如 WANG / as a passport writes it")
    issue.add_argument("--given-name", required=True, help="名，如 XIAOMING / as a passport writes it")
    issue.add_argument("--name", default="", help="姓名原文 / the name as it is written")
    issue.add_argument("--born", type=date.fromisoformat, required=True, help="出生日期，YYYY-MM-DD / date of birth")
    issue.add_argument("--sampled-at", required=True, help="采样时刻，RFC 3339 / when the sample was taken")
    issue.add_argument("--positive", action="store_true", help="结果为阳性 / the result is positive")
    issue.add_argument("--laboratory", required=True, help="检测机构 / the laboratory")
    issue.add_argument("--region", required=True, help="签发地区代码 / code of the issuing region")
    issue.add_argument(
        "--number", required=True, help="证书编号，大写字母与数字 / the certificate's number, A-Z and 0-9"
    )
    issue.add_argument("--hours", type=float, default=72.0, help="有效小时数，缺省 72 / hours valid, by default 72")
    issue.add_argument("--qr", type=Path, help="另存二维码，.svg 或 .png / also write its QR code")
    issue.set_defaults(run=run_issue)
    signer = commands.add_parser("signer", help="为开发建立签发者 / make a signer, for development")
    signer.add_argument("folder", type=Path, help="目录 / the folder")
    signer.add_argument("--region", required=True, help="地区代码 / code of its region")
    signer.set_defaults(run=run_signer)


def run_verify(args: argparse.Namespace) -> int:
    """Prints what a certificate says, or the reason why it is not believed."""
    from services.certificates.refusals import CertificateRefused
    from services.certificates.trust import trust_of
    from services.certificates.verification import verify

    try:
        at = _instant(args.at) if args.at else _now()
        text = _text(args.certificate)
        trust = trust_of(args.trust)
    except (OSError, ValueError) as error:
        complain(Text("不能核验", str(error)))
        return Exit.USAGE
    if not len(trust):
        complain(Text(f"{args.trust} 中没有签发者的证书", f"{args.trust} holds no signer's certificate"))
        return Exit.USAGE
    try:
        verified = verify(text, trust, at)
    except CertificateRefused as refused:
        if args.json:
            _print_json({"verified": False, "reason": refused.reason, "detail": refused.detail})
        else:
            complain(Text("证书未通过核验", str(refused)))
        return Exit.REFUSED
    if args.json:
        _print_json(
            {
                "verified": True,
                "contents": verified.contents,
                "issuer": verified.claims.issuer,
                "issuedAt": verified.claims.issued_at,
                "expiresAt": verified.claims.expires_at,
                "signer": verified.signer.key_id.hex(),
            }
        )
        return Exit.OK
    print(f"有效 / verified, until {verified.claims.expires_at.isoformat()}")
    print(f"签发者 / signer: {verified.signer.certificate.subject.rfc4514_string()}")
    name = verified.contents.nam
    print(f"持有人 / holder: {name.fnt or ''} {name.gnt or ''}, {verified.contents.dob}")
    for test in verified.contents.t or []:
        result = "阳性 / positive" if test.positive else "阴性 / negative"
        kind = (
            "核酸 / nucleic acid" if test.nucleic_acid else "抗原，不能代替核酸 / rapid antigen, no nucleic-acid test"
        )
        print(f"{kind}: {result}, {test.sc}, {test.tc or ''}")
    return Exit.OK


def run_issue(args: argparse.Namespace) -> int:
    """Prints the text of a new certificate, and writes its QR code where that is asked for."""
    import re

    from services.certificates.identifiers import certificate_identifier
    from services.certificates.issuing import Holder, Result, issue
    from services.certificates.refusals import CertificateRefused
    from services.certificates.trust import signer_of
    from services.common.regions import divisions

    region = divisions().get(args.region)
    if region is None or args.hours <= 0 or not re.fullmatch("[A-Z0-9]{1,40}", args.number):
        complain(
            Text(
                "地区代码、有效小时数或证书编号不对",
                "no such region, no such number of hours, or a number with other characters than A-Z and 0-9",
            )
        )
        return Exit.USAGE
    if args.qr is not None and args.qr.suffix not in {".svg", ".png"}:
        complain(Text("二维码文件须为 .svg 或 .png", "the QR code's file ends in .svg or .png"))
        return Exit.USAGE
    holder = Holder(args.surname, args.given_name, args.born, args.name)
    try:
        result = Result(
            sampled_at=_instant(args.sampled_at),
            positive=args.positive,
            laboratory=args.laboratory,
            issuer=region.name.zh,
            identifier=certificate_identifier(args.region, args.number),
        )
        text = issue(
            holder,
            result,
            signer=signer_of(args.signer.read_bytes()),
            key=args.key.read_bytes(),
            issued_at=_now(),
            valid_for=timedelta(hours=args.hours),
        )
    except (OSError, ValueError, CertificateRefused) as error:
        complain(Text("不能签发", str(error)))
        return Exit.USAGE
    print(text)
    if args.qr is not None:
        from services.certificates.pictures import save_qr_code

        save_qr_code(text, args.qr)
    return Exit.OK


def run_signer(args: argparse.Namespace) -> int:
    """Writes the key and certificate of a signer of tests for a region, and says where they lie."""
    from cli.certificates.signers import write_signer
    from services.common.regions import divisions

    if args.region not in divisions():
        complain(Text(f"没有这个地区：{args.region}", f"no such region: {args.region}"))
        return Exit.USAGE
    certificate, key = write_signer(args.folder, args.region, _now())
    print(f"证书 / certificate: {certificate}\n私钥 / key: {key}")
    return Exit.OK


def _print_json(answer: Mapping[str, object]) -> None:
    import msgspec

    print(msgspec.json.encode(answer).decode())


def _now() -> datetime:
    from cli.certificates.authority import utc_now

    return utc_now()


def _instant(text: str) -> datetime:
    from services.common.instants import parse_rfc3339, to_datetime

    return to_datetime(parse_rfc3339(text))


def _text(source: str) -> str:
    if source == "-":
        return sys.stdin.read()
    return source if source.startswith("HC1:") else Path(source).read_text(encoding="ascii", errors="replace")
