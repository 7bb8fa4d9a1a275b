"""`hutong records migrate`: brings the tables of a PostgreSQL store up to date."""

import argparse


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    from services.records import migrate

    migrating = commands.add_parser(
        "migrate", help="更新 PostgreSQL 的表结构 / bring the tables of PostgreSQL up to date"
    )
    migrate.add_arguments(migrating)
    migrating.set_defaults(run=migrate.run)
