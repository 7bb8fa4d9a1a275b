"""Redis, as services share it besides a cache."""
