"""Where records are kept: one protocol, and an adapter for each database."""
