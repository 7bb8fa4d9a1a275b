"""`hutong audit verify|search|prove|check|rotate|witness`: what an audit trail says, and the proof that it says so."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from services.common.errors import Text
from services.common.instants import Instant, format_rfc3339, parse_rfc3339

if TYPE_CHECKING:
    from services.runtime.audit.entry import Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the sub-commands."""
    parser.description = (
        "审计日志是一棵默克尔树：改动一个字节、一行、次序、末尾或整个文件都会被发现。\n"
        "The trail is a Merkle tree: whoever changes a byte, a line, the order, a tail or a file is found out.\n\n"
        "退出状态 exit status: 0 无误 whole; 2 命令有误 wrong command; 3 日志被改动 the trail was changed"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    verify = commands.add_parser("verify", help="核验一份日志 / verify a trail")
    _add_folder(verify)
    verify.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        help="他人保存的检查点，可多次给出 / a checkpoint that others keep; may be repeated",
    )
    verify.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="KEY",
        help="须已联署的见证方的公钥，或存放它的目录；可多次给出"
        " / the key of a witness that must have co-signed, or the folder of it; may be repeated",
    )
    verify.set_defaults(run=run_verify)
    search = commands.add_parser("search", help="谁查过某人 / who looked at a person")
    _add_folder(search)
    search.add_argument("--person", default="", help="个人标识，十六进制 / a person key, hexadecimal")
    search.add_argument("--from", dest="first", type=_instant, help="起，RFC 3339 / from")
    search.add_argument("--to", dest="end", type=_instant, help="止，不含 / to, excluded")
    search.set_defaults(run=run_search)
    prove = commands.add_parser("prove", help="证明某行在日志中 / prove that a line is in a trail")
    _add_folder(prove)
    prove.add_argument("number", type=int, help="行号，search 所示 / the line's number, as search shows it")
    prove.set_defaults(run=run_prove)
    rotate = commands.add_parser(
        "rotate", help="换用新的签名密钥 / hand a trail, or a witness, over to another signing key"
    )
    _add_folder(rotate)
    rotate.set_defaults(run=run_rotate)
    witness = commands.add_parser(
        "witness", help="为他人的日志联署检查点，如监管方 / co-sign the checkpoints of others' trails, as a supervisor"
    )
    witness.add_argument("folder", type=Path, help="存放所见与密钥的目录 / where what was seen, and the key, are kept")
    witness.add_argument(
        "--name", default="supervisor/witness", help="证书所证的名称 / the name that the certificate proves"
    )
    witness.set_defaults(run=run_witness)
    check = commands.add_parser("check", help="仅凭公钥核验证明 / check a proof with the public key alone")
    check.add_argument("proof", type=Path, help="prove 的输出 / what prove printed")
    check.add_argument("--key", required=True, help="公钥（verifier 文件的内容）/ the key in the file `verifier`")
    check.set_defaults(run=run_check)


def run_witness(args: argparse.Namespace) -> int:
    """Serves WitnessService until a signal; address and certificate are settings: HUTONG_LISTEN, HUTONG_TLS_…."""
    from services.runtime.audit.process import witness_bindings
    from services.runtime.clock import system_clock
    from services.runtime.process import run
    from services.runtime.service import Service, serve
    from services.runtime.settings.environment import ServerSettings, SettingsError, load
    from services.runtime.tls.identity import WrongPrincipalError, principal
    from services.runtime.tls.process import process_files

    try:
        settings = load(ServerSettings, os.environ)
        files = process_files(settings, principal(args.name))
        bindings = witness_bindings(str(args.folder), f"hutong/witness/{args.name}", system_clock)
        run(lambda: serve(Service(name="witness", bindings=bindings, files=files), settings), settings)
    except (SettingsError, WrongPrincipalError) as error:
        complain(Text("不能见证", str(error)))
        return Exit.USAGE
    return Exit.OK


def run_rotate(args: argparse.Namespace) -> int:
    """Makes the next key of a trail or a witness, to which its process goes over with the next checkpoint."""
    from services.runtime.audit.opening import prepare_next_key
    from services.runtime.audit.segments import AuditError

    try:
        prepare_next_key(args.folder)
    except AuditError as error:
        complain(Text("不能换用", str(error)))
        return Exit.USAGE
    print("其进程在下一检查点换用 / its process goes over to the next key with the next checkpoint")
    return Exit.OK


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="日志目录，如 .hutong/audit/gateway / the trail's folder")


def _instant(text: str) -> Instant:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def _changed(error: Exception) -> int:
    complain(Text(f"日志有问题：{error}", f"the trail is not what it should be: {error}"))
    return Exit.ROWS_REFUSED


def run_verify(args: argparse.Namespace) -> int:
    """Reads the whole trail and says how many lines are proven."""
    from services.runtime.audit.cosigning import cosigned_notes
    from services.runtime.audit.note import NoteError, read_verifier
    from services.runtime.audit.opening import keeper_of
    from services.runtime.audit.segments import AuditError
    from services.runtime.audit.trail import verify

    try:
        notes = {str(path): path.read_text(encoding="utf-8") for path in args.checkpoint}
    except OSError as error:
        complain(Text(f"检查点无法读取：{error}", f"a checkpoint cannot be read: {error}"))
        return Exit.USAGE
    try:
        witnesses = [keeper_of(Path(word)) if Path(word).is_dir() else read_verifier(word) for word in args.witness]
    except (AuditError, NoteError) as error:
        complain(Text(f"见证方的公钥无法读取：{error}", f"a witness's key cannot be read: {error}"))
        return Exit.USAGE
    try:
        keeper = keeper_of(args.folder)
        for witness in witnesses:
            notes |= cosigned_notes(args.folder, keeper, witness)
        verified = verify(args.folder, keeper, notes)
    except (AuditError, NoteError, OSError) as error:
        return _changed(error)
    print(
        f"无误 whole: {verified.checkpoint.origin}, {verified.lines} 行 lines, 检查点 checkpoint"
        f" {verified.checkpoint.size} {verified.checkpoint.root.hex()}"
    )
    return Exit.OK


def run_search(args: argparse.Namespace) -> int:
    """Prints the lines about a person, oldest first."""
    from services.runtime.audit.note import NoteError
    from services.runtime.audit.opening import keeper_of
    from services.runtime.audit.segments import AuditError
    from services.runtime.audit.trail import search

    count = 0
    try:
        origin = keeper_of(args.folder).name
        for number, entry in search(args.folder, origin, person=args.person, first=args.first, end=args.end):
            print(_shown(number, entry))
            count += 1
    except (AuditError, NoteError) as error:
        return _changed(error)
    print(f"{count} 行 / lines", file=sys.stderr)
    return Exit.OK


def _shown(number: int, entry: "Entry") -> str:
    method = entry.method.rpartition(".")[2]
    about = f"{len(entry.persons)} 人 people" if len(entry.persons) != 1 else entry.persons[0]
    caller = f"{entry.caller} for {','.join(entry.users)}" if entry.users else entry.caller
    return (
        f"{number}  {format_rfc3339(entry.at)}  {caller}  {method}  {entry.purpose or '-'}  {entry.outcome}"
        f"  {about}  trace {entry.trace}"
    )


def run_prove(args: argparse.Namespace) -> int:
    """Prints the proof of a line, JSON."""
    import msgspec

    from services.runtime.audit.note import NoteError
    from services.runtime.audit.opening import keeper_of
    from services.runtime.audit.segments import AuditError
    from services.runtime.audit.trail import prove

    try:
        proof = prove(args.folder, keeper_of(args.folder), args.number)
    except (AuditError, NoteError) as error:
        return _changed(error)
    print(msgspec.json.encode(proof).decode())
    return Exit.OK


def run_check(args: argparse.Namespace) -> int:
    """Checks a proof and prints what it proves."""
    import msgspec

    from services.runtime.audit.note import NoteError, read_verifier
    from services.runtime.audit.trail import Proof, check_proof

    try:
        proof = msgspec.json.decode(args.proof.read_bytes(), type=Proof)
        keeper = read_verifier(args.key)
    except (OSError, msgspec.MsgspecError, NoteError) as error:
        complain(Text(f"证明或公钥无法读取：{error}", f"the proof or the key cannot be read: {error}"))
        return Exit.USAGE
    try:
        entry = check_proof(proof, keeper)
    except NoteError as error:
        return _changed(error)
    print(f"已证明 proven: {_shown(proof.number, entry)}")
    return Exit.OK
