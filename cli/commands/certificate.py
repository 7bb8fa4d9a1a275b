"""`hutong certificate issue|verify|present|signer`: test certificates that any verifier of HCERTs reads."""

import argparse
import sys
import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from cli.exits import Exit, complain
from services.common.errors import Text

MOST_TIMES = 6
"""How often a page is asked for that a busy gateway leaves out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    verify = commands.add_parser("verify", help="核验一张证书 / verify a certificate")
    verify.add_argument("certificate", help=_CERTIFICATE)
    verify.add_argument(
        "--trust",
        type=Path,
        help="受信签发者的目录，离线核验 / a folder of signers' certificates: no network is needed",
    )
    verify.add_argument(
        "--revoked", type=Path, help="已作废证书的名单 / a list of revoked certificates, by default TRUST/revoked.txt"
    )
    verify.add_argument("--at", help="核验时刻，RFC 3339，缺省为现在 / at which instant, by default now")
    verify.add_argument("--json", action="store_true", help="以 JSON 输出 / print JSON")
    _add_gateway(verify)
    verify.set_defaults(run=run_verify)
    issue = commands.add_parser("issue", help="签发一张证书 / issue a certificate")
    issue.add_argument("--region", required=True, help="签发地区代码 / code of the issuing region")
    issue.add_argument("--surname", default="", help="姓，护照字母，如 WANG / as a passport writes it")
    issue.add_argument("--given-name", default="", help="名，如 XIAOMING / as a passport writes it")
    issue.add_argument("--name", default="", help="姓名原文 / the name as it is written")
    issue.add_argument("--qr", type=Path, help="另存二维码，.svg 或 .png / also write its QR code")
    issue.add_argument("--pdf", type=Path, help="另存 A4 打印页 / also write a page of A4 to print")
    mesh = issue.add_argument_group("由互通网签发 / by a mesh, of what its region recorded")
    mesh.add_argument("--document", metavar="NUMBER", help="持有人证件号码 / the number of the holder's document")
    mesh.add_argument("--type", default="RESIDENT_ID", help="证件类型 / the kind of the document")
    mesh.add_argument("--id", default="", help="结果编号，缺省为最新 / the result's id, by default the newest")
    _add_gateway(mesh)
    by_hand = issue.add_argument_group(
        "用密钥直接签发 / with a key, by hand: such a certificate is verified, and is no evidence in a mesh"
    )
    by_hand.add_argument("--signer", type=Path, help="签发者证书，PEM / the signer's certificate")
    by_hand.add_argument("--key", type=Path, help="签发者私钥，PEM / the signer's private key")
    by_hand.add_argument("--born", type=date.fromisoformat, help="出生日期，YYYY-MM-DD / date of birth")
    by_hand.add_argument("--sampled-at", help="采样时刻，RFC 3339 / when the sample was taken")
    by_hand.add_argument("--positive", action="store_true", help="结果为阳性 / the result is positive")
    by_hand.add_argument("--laboratory", help="检测机构 / the laboratory")
    by_hand.add_argument("--number", help="证书编号，大写字母与数字 / the certificate's number, A-Z and 0-9")
    by_hand.add_argument("--hours", type=float, default=72.0, help="有效小时数，缺省 72 / hours valid, by default 72")
    issue.set_defaults(run=run_issue)
    present = commands.add_parser("present", help="在另一地区出示 / present a certificate in another region")
    present.add_argument("certificate", help=_CERTIFICATE)
    present.add_argument("--region", required=True, help="出示地区代码 / code of the region where it is presented")
    present.add_argument(
        "--document", required=True, metavar="NUMBER", help="持有人证件号码 / the number of the holder's document"
    )
    present.add_argument("--type", default="RESIDENT_ID", help="证件类型 / the kind of the document")
    _add_gateway(present)
    present.set_defaults(run=run_present)
    signer = commands.add_parser("signer", help="为开发建立签发者 / make a signer, for development")
    signer.add_argument("folder", type=Path, help="目录 / the folder")
    signer.add_argument("--region", required=True, help="地区代码 / code of its region")
    signer.set_defaults(run=run_signer)


_CERTIFICATE = "HC1: 开头的文本、文件，或 - / the text, a file, or - for standard input"


def _add_gateway(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    parser.add_argument("--gateway", default="", metavar="URL", help="网关地址 / the gateway, such as http://host:8080")
    parser.add_argument("--token", default="", help="令牌，在 hutong up 的本机可省 / a bearer token")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(".hutong"),
        help="`hutong up` 的数据目录，由此得知网关 / data of the running `hutong up`, which names the gateway",
    )


def run_verify(args: argparse.Namespace) -> int:
    """Prints what a certificate says, or the reason why it is not believed."""
    try:
        at = _instant(args.at) if args.at else None
        text = _text(args.certificate)
    except (OSError, ValueError) as error:
        complain(Text("不能核验", str(error)))
        return Exit.USAGE
    if args.trust is None:
        return _verify_at_gateway(args, text)
    return _verify_here(args, text, at or _now())


def _verify_here(args: argparse.Namespace, text: str, at: datetime) -> int:
    from services.certificates.refusals import CertificateRefused
    from services.certificates.revocation import FILE, Revocations, read_revocations
    from services.certificates.trust import trust_of
    from services.certificates.verification import verify

    listed = args.revoked or args.trust / FILE
    try:
        trust = trust_of(args.trust)
        known = args.revoked is not None or listed.exists()
        revoked = read_revocations(listed.read_text(encoding="utf-8")) if known else Revocations()
    except (OSError, ValueError) as error:
        complain(Text("不能核验", str(error)))
        return Exit.USAGE
    if not len(trust):
        complain(Text(f"{args.trust} 中没有签发者的证书", f"{args.trust} holds no signer's certificate"))
        return Exit.USAGE
    try:
        verified = verify(text, trust, at, revoked)
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


def _verify_at_gateway(args: argparse.Namespace, text: str) -> int:
    answer = _asked(args, "/v1/certificates:verify", {"text": text} | ({"at": args.at} if args.at else {}), "SHOW_CODE")
    if isinstance(answer, int):
        return answer
    if args.json:
        _print_json(answer)
    elif answer["verified"]:
        seen = answer["certificate"]
        print(f"有效 / verified, until {seen['expiresAt']}")
        print(f"签发 / signed by: {seen['region'] or seen['country']}")
        print(f"持有人 / holder: {seen['maskedName']}, {seen['born'] or ''}")
        print(f"结果 / result: {seen['result'] or seen['group']}, {seen['sampledAt'] or ''}")
        if not seen["standingChecked"]:
            print("未能查到原记录，只有签名为证 / the record was not looked at: its signature alone speaks for it")
    else:
        complain(Text(f"证书未通过核验：{answer['text']['zh']}", f"{answer['reason']}: {answer['text']['en']}"))
    return Exit.OK if answer["verified"] else Exit.REFUSED


def run_issue(args: argparse.Namespace) -> int:
    """Prints the text of a new certificate, and writes its QR code and its page where those are asked for."""
    if args.qr is not None and args.qr.suffix not in {".svg", ".png"}:
        complain(Text("二维码文件须为 .svg 或 .png", "the QR code's file ends in .svg or .png"))
        return Exit.USAGE
    if args.signer is None and args.key is None:
        return _issue_at_gateway(args)
    return _issue_here(args)


def _issue_at_gateway(args: argparse.Namespace) -> int:
    from base64 import b64decode

    if not args.document:
        complain(Text("须给出 --document，或 --signer 与 --key", "--document is needed, or --signer and --key"))
        return Exit.USAGE
    body: dict[str, Any] = {"document": {"type": args.type, "number": args.document}, "region": args.region}
    if args.id:
        body["sourceId"] = args.id
    if args.surname:
        body["name"] = {"surname": args.surname, "givenName": args.given_name, "writtenName": args.name}
    if args.pdf is not None:
        body["formats"] = ["PDF"]
    # Whoever states a name vouches for it; people ask for their own.
    answer = _asked_for_the_whole(args, body, "REGIONAL_SERVICE" if args.surname else "SHOW_CODE")
    if isinstance(answer, int):
        return answer
    if args.pdf is not None and not answer["pdf"]:
        print(answer["text"])
        complain(Text(f"没有写 {args.pdf}：网关一直繁忙", f"{args.pdf} was not written: the gateway stayed too busy"))
        return Exit.UNREACHABLE
    return _written(args, answer["text"], b64decode(answer["pdf"] or ""))


def _asked_for_the_whole(args: argparse.Namespace, body: Mapping[str, Any], purpose: str) -> Mapping[str, Any] | Exit:
    """Asks for a certificate again while a busy gateway leaves out what is wanted, as often as it may."""
    for _ in range(MOST_TIMES - 1):
        answer = _asked(args, "/v1/certificates:issue", body, purpose)
        # A gateway of the release before leaves out nothing, and says nothing of it.
        missing = None if isinstance(answer, int) else answer.get("leftOut")
        if not missing:
            return answer
        complain(Text(**missing["text"]))
        time.sleep(missing["retryAfter"])
    return _asked(args, "/v1/certificates:issue", body, purpose)


def _written(args: argparse.Namespace, text: str, page: bytes) -> int:
    from services.certificates.pictures import save_qr_code

    print(text)
    try:
        if args.qr is not None:
            save_qr_code(text, args.qr)
        if args.pdf is not None:
            args.pdf.write_bytes(page)
    except OSError as error:
        complain(Text(f"不能写文件：{error}", f"the file cannot be written: {error}"))
        return Exit.USAGE
    return Exit.OK


_BY_HAND = ("signer", "key", "surname", "born", "sampled_at", "laboratory", "number")


def _issue_here(args: argparse.Namespace) -> int:
    import re

    from services.certificates.identifiers import certificate_identifier
    from services.certificates.issuing import Holder, Result, issue
    from services.certificates.printing.page import certificate_pdf
    from services.certificates.refusals import CertificateRefused
    from services.certificates.trust import Trust, signer_of
    from services.certificates.verification import verify
    from services.common.regions import divisions

    if missing := [name for name in _BY_HAND if not getattr(args, name)]:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        complain(Text(f"还须给出 {named}", f"these are needed too: {named}"))
        return Exit.USAGE
    region = divisions().get(args.region)
    if region is None or args.hours <= 0 or not re.fullmatch("[A-Z0-9]{1,40}", args.number):
        complain(
            Text(
                "地区代码、有效小时数或证书编号不对",
                "no such region, no such number of hours, or a number with other characters than A-Z and 0-9",
            )
        )
        return Exit.USAGE
    holder = Holder(args.surname, args.given_name, args.born, args.name)
    now = _now()
    try:
        result = Result(
            sampled_at=_instant(args.sampled_at),
            positive=args.positive,
            laboratory=args.laboratory,
            issuer=region.name.zh,
            identifier=certificate_identifier(args.region, args.number),
        )
        signer = signer_of(args.signer.read_bytes())
        text = issue(
            holder,
            result,
            signer=signer,
            key=args.key.read_bytes(),
            issued_at=now,
            valid_for=timedelta(hours=args.hours),
        )
        # What is drawn is what a verifier reads.
        verified = verify(text, Trust([signer]), now)
        page = certificate_pdf(text, verified.claims, verified.contents) if args.pdf is not None else b""
    except (OSError, ValueError, CertificateRefused) as error:
        complain(Text("不能签发", str(error)))
        return Exit.USAGE
    return _written(args, text, page)


def run_present(args: argparse.Namespace) -> int:
    """Presents a certificate, and prints the id of the copy that the region keeps."""
    try:
        text = _text(args.certificate)
    except OSError as error:
        complain(Text("不能出示", str(error)))
        return Exit.USAGE
    body = {"document": {"type": args.type, "number": args.document}, "region": args.region, "text": text}
    answer = _asked(args, "/v1/certificates:present", body, "HOLDER_DECISION")
    if isinstance(answer, int):
        return answer
    state = "已记入 / kept" if answer["created"] else "此前已记入 / kept before"
    print(f"{state}: {answer['record']['region']}/{answer['record']['sourceId']}")
    return Exit.OK


def _asked(args: argparse.Namespace, path: str, body: Mapping[str, Any], purpose: str) -> Mapping[str, Any] | Exit:
    """Returns what the gateway answers, or the exit status after saying why there is nothing."""
    from cli.certificates.gateway import Gateway, GatewayRefusal, gateway_url

    url = gateway_url(args.gateway, args.data)
    if not url:
        complain(
            Text(
                f"{args.data} 中没有运行的 hutong up；请给出 --gateway",
                f"no `hutong up` runs in {args.data}; name the gateway with --gateway",
            )
        )
        return Exit.USAGE
    try:
        return Gateway(url, args.token).ask(path, body, purpose)
    except GatewayRefusal as refusal:
        complain(refusal.text)
        return Exit.UNREACHABLE if refusal.unreachable else Exit.REFUSED


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
