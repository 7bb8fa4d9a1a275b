"""PostgreSQL databases: pools of connections, and tables brought up to date."""
