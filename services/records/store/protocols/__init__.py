"""The protocols of a store, one for each caller; SQLite and PostgreSQL keep the same promises, held by one suite of
tests.

Every method raises Unavailable (STORE_UNAVAILABLE) when the database does not do its part, never with the words of its
driver. Who needs two of these protocols takes two.
"""
