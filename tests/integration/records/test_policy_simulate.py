"""`hutong policy simulate` over a store: its table, its CSV and its chart."""

PEOPLE = 20
