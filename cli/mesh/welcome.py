"""The welcome that is printed when a mesh is up: where to look, and three commands that work as they stand."""

import json
import shlex
import shutil
import sys
from pathlib import Path

from cli.mesh.endpoints import Endpoints
from cli.samples.files import FILES
from cli.samples.people import PEOPLE
from services.common.regions import NATION


def own_command() -> str:
    """Returns the words that this program was called by, so that a printed command finds it again."""
    called = Path(sys.argv[0])
    if called.name == "hutong":
        installed = shutil.which("hutong")
        if installed is not None and Path(installed).resolve() == called.resolve():
            return "hutong"
        return shlex.quote(str(called))
    return f"{shlex.quote(sys.executable)} -m cli"


def _near(path: Path) -> str:
    try:
        return shlex.quote(str(path.resolve().relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(path))


def commands(endpoints: Endpoints, data: Path, command: str) -> list[tuple[str, str]]:
    """Three commands to try, each with what it shows."""
    person = PEOPLE[0]
    kind = "RESIDENT_ID"
    question = json.dumps({"document": {"type": kind, "number": person.number}, "region": person.look})
    file = FILES[0]
    token = f"{command} token holder --number {person.number} --data {_near(data)}"
    # With certificates nobody is taken at their word, over HTTP neither.
    shown = f' -H "authorization: Bearer $({token})"' if endpoints.certificates else ""
    return [
        (
            f"{person.name.zh}：{person.shows.zh} / {person.name.en}: {person.shows.en}",
            f"curl -s {endpoints.http}/v1/healthCode:show -H 'content-type: application/json'{shown} -d '{question}'",
        ),
        (
            "导入检验机构的文件；已导入过，再来一次也不会重复 / import a laboratory's file; again doubles nothing",
            f"{command} import {_near(file.path)} --region {file.region} --lab {file.laboratory} --data {_near(data)}",
        ),
        ("用白话解释上海的规则 / the rules of Shanghai in plain words", f"{command} policy explain 310000"),
    ]


def welcome(endpoints: Endpoints, data: Path, seconds: float, command: str, *, samples: bool) -> str:
    """The whole text."""
    records = {name: address.rpartition(":")[2] for name, address in endpoints.records.items()}
    regions = ", ".join(f"{name} :{port}" for name, port in records.items() if name != NATION)
    lines = [
        f"互通已就绪（{seconds:.1f} 秒） / hutong is up ({seconds:.1f} s)",
        "",
        f"  网页 page            {endpoints.http}/",
        f"  接口文档 API docs     {endpoints.http}/docs",
    ]
    if samples:
        lines.append(f"  样例人员 sample people {endpoints.http}/v1/samplePeople")
    lines += [
        f"  运维 operations       {endpoints.operations}/readyz, {endpoints.operations}/metrics",
        f"  gRPC                 gateway {endpoints.gateway}, verdict {endpoints.verdict}, lookup {endpoints.lookup}",
        f"  记录 records          nation :{records[NATION]}, {regions}",
        f"  数据 data            {data}（{data / 'endpoints.json'}）",
    ]
    if not endpoints.certificates:
        lines.append(
            "  身份 identity         无令牌的请求以开发者身份应答，仅限本机 / calls without a token are those of"
            " spiffe://hutong/development/http, on this machine alone"
        )
    if samples:
        lines += ["", "试一试 / try:"]
        for text, line in commands(endpoints, data, command):
            lines += [f"  # {text}", f"  {line}"]
    lines += ["", "Ctrl-C 结束 / ends it"]
    return "\n".join(lines)
