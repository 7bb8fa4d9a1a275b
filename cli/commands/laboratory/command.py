"""`hutong laboratory`: how well laboratories work, and whom to call."""

import argparse

from cli.lazy_parser import Command, add_commands

COMMANDS = (
    Command(
        "quality",
        "cli.commands.laboratory.quality",
        "时效、修订、阳性、矛盾 / turnaround, corrections, contradictions",
    ),
    Command(
        "corrections",
        "cli.commands.laboratory.corrections",
        "本人提出的纠错及答复 / what people find wrong, and answers",
    ),
    Command("overdue", "cli.commands.laboratory.overdue", "逾期未出结果的样本 / samples whose result is overdue"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the sub-commands."""
    add_commands(parser, COMMANDS)
