"""Real servers that are started for a while: PostgreSQL and Redis, whatever the machine has."""
