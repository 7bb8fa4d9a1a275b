"""Settings of a process, read once from the environment."""
