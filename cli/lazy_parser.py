"""A parser that loads a command's module when the command is asked for: `hutong --help` and one command stay quick
however many commands there are and whatever they need."""

import argparse
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, NamedTuple


class Command(NamedTuple):
    """One command. `module` has `add_arguments(parser)`, which describes the command and sets its `run`."""

    name: str
    module: str
    help: str


class LazyParser(argparse.ArgumentParser):
    """A parser whose `module` adds its arguments before the first use."""

    def __init__(self, *args: Any, module: str | None = None, **kwargs: Any) -> None:  # those of argparse
        super().__init__(*args, **kwargs)
        self.formatter_class = argparse.RawDescriptionHelpFormatter
        self._module = module

    def parse_known_args(  # type: ignore[override]  # argparse's own overloads differ in the namespace alone
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Adds the arguments, then does what argparse does."""
        self.load()
        return super().parse_known_args(args, namespace)

    def load(self) -> None:
        """Adds the command's arguments, once."""
        if self._module is not None:
            module, self._module = self._module, None
            import_module(module).add_arguments(self)


def add_commands(parser: argparse.ArgumentParser, commands: Iterable[Command], title: str = "命令 commands") -> None:
    """Adds commands to a parser; one of them must be given."""
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, title=title, parser_class=LazyParser)
    for command in commands:
        subparsers.add_parser(command.name, help=command.help, module=command.module)
