"""The owner of a SQLite file of records."""

import sqlite3

from services.records.store.owner import Owner


def own(connection: sqlite3.Connection, owner: Owner) -> None:
    """Compares whose a store is, and notes it in one where that was never noted.

    Raises SchemaError for another owner's, sqlite3.Error as the database does.
    """
    connection.execute("begin immediate")
    try:
        row = connection.execute("select region, secret_fingerprint from store_owner").fetchone()
        if row is None:
            other = connection.execute("select region from identity where region <> ? limit 1", (owner.region,))
            owner.require_records_of(next((region for (region,) in other), None))
            connection.execute(
                "insert into store_owner (only_row, region, secret_fingerprint) values (1, ?, ?)", owner[:2]
            )
        else:
            owner.require(Owner(*row))
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
