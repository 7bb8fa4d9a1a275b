"""`hutong supervision export`: the figures to be published, and what their columns mean."""

import argparse
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path

import msgspec

from cli.exits import Exit, complain
from cli.mesh.endpoints import read_endpoints
from services.common.errors import Text

SECONDS = 60.0
"""How long the gateway may be silent between two pieces."""
FILES = {"recognition.csv": "openData", "dictionary.csv": "openDataDictionary"}
_DESCRIPTION = """\
各地区、场所、每日的认可情况，供公开：CSV 及其说明（中英文）。小于 5 的数不公布，合计亦不泄露；仅含已过之日。
How recognition goes, by region, place and day, to be published: CSV with a data dictionary in Chinese and English.
Figures below 5 are hidden so that no sum tells them; of closed days alone.
令牌取自 --token-file；`hutong up` 的数据目录可自行签发。
The token is read from --token-file; the data directory of `hutong up` gives its own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = _DESCRIPTION
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="放置两个文件 / where both files go")
    parser.add_argument("--first", default="", metavar="DAY", help="首日，缺省为末日前六天 / the first day")
    parser.add_argument("--last", default="", metavar="DAY", help="末日，缺省为昨天 / the last day; yesterday")
    parser.add_argument("--to", metavar="URL", help="网关地址 / the gateway, such as https://code.example.cn")
    parser.add_argument("--token-file", type=Path, help="监督人员令牌文件 / a file with a supervisor's token")
    parser.add_argument("--data", type=Path, default=Path(".hutong"), help="数据目录 / data of `hutong up`")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes both files; returns the exit status."""
    base = args.to or _running(args.data)
    token = _token(args)
    if base is None or token is None:
        return Exit.USAGE
    if not base.startswith(("http://", "https://")):
        complain(Text(f"--to 应为 http(s) 地址：{base}", f"--to is an http(s) address: {base}"))
        return Exit.USAGE
    asked = {name: value for name, value in (("firstDay", args.first), ("lastDay", args.last)) if value}
    query = f"?{urllib.parse.urlencode(asked)}" if asked else ""
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for name, path in FILES.items():
            more = query if path == "openData" else ""
            _fetch(f"{base.rstrip('/')}/v1/supervision/{path}{more}", token, args.out / name)
            print(args.out / name)
    except urllib.error.HTTPError as error:
        complain(_said(error))
        return Exit.USAGE if error.code == 400 else Exit.UNREACHABLE
    except (OSError, HTTPException) as error:
        complain(Text(f"未能导出：{error}", f"nothing was exported: {error}"))
        return Exit.UNREACHABLE
    return Exit.OK


def _running(data: Path) -> str | None:
    endpoints = read_endpoints(data)
    if endpoints is None:
        complain(Text(f"{data} 中没有运行的互通网；可用 --to", f"No mesh is running from {data}; there is --to"))
        return None
    return endpoints.http


def _token(args: argparse.Namespace) -> str | None:
    if args.token_file is not None:
        try:
            return str(args.token_file.read_text(encoding="ascii").strip())
        except (OSError, UnicodeError) as error:
            complain(Text(f"令牌文件不可读：{error}", f"the token file cannot be read: {error}"))
            return None
    if not (args.data / "development").is_dir():
        complain(Text("须给出 --token-file", "--token-file is needed"))
        return None
    from gateway.identity.development import DevelopmentIssuer

    return DevelopmentIssuer(args.data / "development").token({"role": "supervisor", "sub": "me"})


def _fetch(url: str, token: str, to: Path) -> None:
    """Downloads a file, which is there as a whole or not at all."""
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"})
    partial = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as reply, partial.open("wb") as file:
            shutil.copyfileobj(reply, file)
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)


def _said(error: urllib.error.HTTPError) -> Text:
    try:
        problem = msgspec.json.decode(error.read())
        detail = "; ".join(f"{one['field']}: {one['message']['en']}" for one in problem["violations"])
        return Text(f"网关拒绝：{problem['detail']} {detail}", f"the gateway refused: {problem['detail']} {detail}")
    except (msgspec.DecodeError, KeyError, TypeError):
        return Text(f"网关应答 {error.code}", f"the gateway answered {error.code}")
