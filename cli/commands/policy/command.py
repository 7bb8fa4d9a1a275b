"""`hutong policy`: check, test, explain and simulate policies."""

import argparse

from cli.lazy_parser import Command, add_commands

COMMANDS = (
    Command(
        "check",
        "cli.commands.policy.check",
        "检查格式、重叠、不可达的条款、是否严于国家通知 / schema, overlaps, unreachable clauses, and whether a policy "
        "is stricter than the national notice",
    ),
    Command("test", "cli.commands.policy.test", "运行政策旁的用例 / run the cases beside the policies"),
    Command(
        "simulate",
        "cli.commands.policy.simulate",
        "草案若已施行：按当时所知重判，谁得谁失 / what if: the past under a draft, who would lose or gain",
    ),
    Command("explain", "cli.commands.policy.explain", "用文字说明现行政策 / the policy in force, in words"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the sub-commands."""
    add_commands(parser, COMMANDS)
