"""The command line: every command is there, described in both languages, and loads no more than it needs."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from cli.lazy_parser import Command
from cli.main import COMMANDS, main
from tests.testkit.tools import ROOT


def flattened(commands: tuple[Command, ...] = COMMANDS) -> Iterator[tuple[str, ...]]:
    """The words of every command and sub-command."""
    from importlib import import_module

    for command in commands:
        below = getattr(import_module(command.module), "COMMANDS", ())
        yield (command.name,)
        yield from ((command.name, *words) for words in flattened(below))


def modules_after(*arguments: str) -> set[str]:
    """The modules that a process has loaded when a command has run."""
    program = (
        "import sys\nfrom cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('\\n' + ' '.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("words", list(flattened()))
def test_every_command_describes_itself(words, capsys):
    """Help ends well, and each command's help names its program."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert not ended.value.code
    assert f"hutong {' '.join(words)}" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_in_both_languages(command):
    """Chinese first, then English."""
    zh, _, en = command.help.partition(" / ")
    assert any("\u4e00" <= character <= "\u9fff" for character in zh)
    assert en.isascii()


def test_help_loads_no_command():
    """`hutong --help` is read from names and sentences: no command's module, no gRPC, no service."""
    loaded = modules_after("--help")
    assert not {name for name in loaded if name.startswith(("cli.commands.", "grpc", "hutong.", "services.records"))}


@pytest.mark.parametrize(
    ("arguments", "foreign"),
    [
        (("policy", "explain", "310000"), ("grpc", "gateway", "services.records", "services.lookup", "cli.mesh")),
        (("policy", "check"), ("grpc", "gateway", "services.records", "services.lookup", "cli.mesh")),
        (("import", "--help"), ("grpc", "gateway", "services.verdict", "services.records", "services.lookup")),
        (("bench", "--help"), ("grpc", "gateway", "services.verdict", "services.records", "services.lookup")),
        (("records", "purge", "--help"), ("gateway", "services.verdict", "services.lookup", "cli.mesh")),
    ],
)
def test_a_command_loads_what_it_needs_and_no_more(arguments, foreign):
    """No server, and no other command's services."""
    loaded = modules_after(*arguments)
    assert "argparse" in loaded
    assert not {name for name in loaded if name in foreign or name.startswith(tuple(f"{one}." for one in foreign))}


@pytest.mark.parametrize("printed", [[], ["--sql"]], ids=["applied", "printed"])
@pytest.mark.parametrize("store", ["lookup", "supervision", "push"])
def test_what_no_cluster_distributes_is_not_distributed(store, printed, capsys):
    """Whether the statements are applied, for which no database is reached, or printed: one sentence says where such
    tables are."""
    status = main(["migrate", store, "--distribute", "--store-url", "postgresql://hutong@127.0.0.1:1/none", *printed])
    told = capsys.readouterr()
    assert (2, "") == (status, told.out)
    (sentence,) = told.err.splitlines()
    assert f"the tables of {store} are not distributed" in sentence
