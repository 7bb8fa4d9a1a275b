"""`hutong`: one command line for the whole mesh."""

import io
import sys
from collections.abc import Sequence

from cli.exits import Exit
from cli.lazy_parser import Command, LazyParser, add_commands

_DESCRIPTION = """\
互通：一次核酸检测，全国互认。
hutong: one national answer to one question: is this person's nucleic-acid test recognised here, now, and until when?"""

COMMANDS = (
    Command("up", "cli.commands.up", "在本机运行整个互通网 / run the whole mesh on this machine"),
    Command("import", "cli.commands.import_", "导入检验机构的结果文件 / import a laboratory's result file"),
    Command("laboratory", "cli.commands.laboratory.command", "检测机构的质量 / the quality of laboratories"),
    Command("supervision", "cli.commands.supervision.command", "监督：导出公开数据 / supervision: open data"),
    Command("policy", "cli.commands.policy.command", "检查、测试、解释政策 / check, test and explain policies"),
    Command("migrate", "cli.commands.migrate", "建库或更新表结构 / make a store, or bring its tables up to date"),
    Command("backup", "cli.commands.backup", "备份库与审计日志 / back up a store or an audit trail"),
    Command("shadow", "cli.commands.shadow", "以本地答案与互通网比对 / compare a region's answers with the mesh's"),
    Command("conform", "cli.commands.conform", "按公布的用例核对 / check a target by published cases"),
    Command("doctor", "cli.commands.doctor", "检查各服务是否一致 / do all services agree"),
    Command("records", "cli.commands.records.command", "照管记录库 / look after a records store"),
    Command("lookup", "cli.commands.lookup.command", "照管关联信息库 / look after lookup's store"),
    Command("audit", "cli.commands.audit", "审计日志：核验、查询、举证 / the audit trail: verify, search, prove"),
    Command("certs", "cli.commands.certs", "为开发签发证书 / certificates for development"),
    Command("certificate", "cli.commands.certificate", "核酸证书：签发、核验 / test certificates: issue, verify"),
    Command("secret", "cli.commands.secret", "更换密钥 / change the mesh's secret"),
    Command("pass-key", "cli.commands.pass_key", "更换通行码密钥 / change the key that signs passes"),
    Command("access", "cli.commands.access", "谁可调用什么 / who may call what"),
    Command("token", "cli.commands.token", "开发用令牌 / a token for development"),
    Command("token-key", "cli.commands.token_key", "更换开发用令牌的密钥 / change the key of tokens for development"),
    Command("bench", "cli.commands.bench", "性能基准 / benchmarks"),
)


def parser() -> LazyParser:
    """Returns the parser of the whole command line; a command sets `run`, which takes the arguments and returns an exit
    status."""
    whole = LazyParser(prog="hutong", description=_DESCRIPTION)
    add_commands(whole, COMMANDS)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without Chinese shows question marks, and nothing fails.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    args = parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
