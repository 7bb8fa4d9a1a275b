"""The tables of a store as numbered migrations: the same for every service and for both engines. Values alone.

A migration that was released is never edited: a change is a new one. One that only adds leaves the tables to programs
that do not know it, which go on with them and may be started on them: services of two releases run side by side over
one store (docs/upgrade.md). So what a release takes away, the release before has stopped to use.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class SchemaError(Exception):
    """The tables are not those this program needs; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a schema. A number means the same in both engines.

    `columns`, in SQLite, are added after the statements unless they are there: table, name, definition. In PostgreSQL
    `hashed` are the tables that are created by hash, each with its column: in `statements`, {table} stands for how that
    table is partitioned; `shared` are those that become reference tables on Citus; `rows` are statements that follow
    once the tables are there. `adds` says that it only adds what programs before it need not know: a table, an index, a
    column that has a default.
    """

    number: int
    name: str
    statements: str
    columns: Sequence[tuple[str, str, str]] = ()
    hashed: Sequence[tuple[str, str]] = ()
    shared: Sequence[str] = ()
    rows: str = ""
    adds: bool = False


@dataclass(frozen=True, slots=True)
class EarlierLedger:
    """The ledger in which an earlier program noted what it had applied to a PostgreSQL database: if `table` is there,
    the query `rows` gives number, name, and whether the tables are distributed."""

    table: str
    rows: str


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one kind of store in one engine.

    `store` names the kind, as `hutong migrate` takes it; every store of the kind has the table `own_table`.
    `application_id` marks a SQLite file as one; `earlier` are ledgers of PostgreSQL databases, newest first; `package`
    has the modules that migrate, back up and move it, where that is not services.STORE.
    """

    store: str
    own_table: str
    migrations: Sequence[Migration]
    application_id: int = 0
    earlier: Sequence[EarlierLedger] = ()
    package: str = ""

    @property
    def commands(self) -> str:
        """Returns the package that has the modules that migrate, back up and move such a store."""
        return self.package or f"services.{self.store}"

    @property
    def is_distributable(self) -> bool:
        """Says whether a Citus cluster can distribute the tables; those of others stay on its coordinator."""
        return any(migration.hashed for migration in self.migrations)

    @property
    def newest(self) -> int:
        """The number of the last migration."""
        return self.migrations[-1].number


@dataclass(frozen=True, slots=True)
class Schemas:
    """The tables of one kind of store in each engine. `write_order` are tables in the order in which most transactions
    write them, the others come after: whoever locks several takes them so. `setting` is the variable that names such a
    store."""

    sqlite: Schema
    postgres: Schema
    write_order: Sequence[str] = ()
    setting: str = "HUTONG_STORE_URL"

    @property
    def store(self) -> str:
        """The kind of store."""
        return self.sqlite.store

    @property
    def commands(self) -> str:
        """Returns the package that has the modules that migrate, back up and move such a store."""
        return self.sqlite.commands

    @property
    def newest(self) -> int:
        """The number of the last migration, of either engine."""
        return max(self.sqlite.newest, self.postgres.newest)


def how_to_migrate(schema: Schema) -> str:
    """The part of a sentence that says how the tables of a store come up to date."""
    return f"run `hutong migrate {schema.store} --store-url URL` (or python -m {schema.commands}.migrate) first"


def behind(schema: Schema, place: str, number: int) -> SchemaError:
    """The error for tables at a lower number than this program needs."""
    needed = schema.newest
    return SchemaError(
        f"the schema of the {place} is at {number}, this program needs {needed}: {how_to_migrate(schema)}"
    )


def ahead(schema: Schema, place: str, number: int) -> SchemaError:
    """The error for tables at a higher number than this program knows."""
    return SchemaError(f"the schema of the {place} is at {number}, this program knows only {schema.newest}: update it")


def another(schema: Schema, place: str) -> SchemaError:
    """The error for a place that holds something else than a store of this kind."""
    return SchemaError(f"the {place} belongs to something else than a store of {schema.store}: it is left alone")


def absent(schema: Schema, place: str) -> SchemaError:
    """The error for a place that holds nothing."""
    return SchemaError(f"没有这个库 / there is no store of {schema.store} in this {place}: {how_to_migrate(schema)}")


def undistributable(schema: Schema) -> SchemaError:
    """The error for tables that no cluster distributes."""
    return SchemaError(
        f"--distribute: {schema.store} 的表不分布；不带此选项，建于协调节点或任一 PostgreSQL / the tables of "
        f"{schema.store} are not distributed; without it they are made on the coordinator, or on any PostgreSQL"
    )
