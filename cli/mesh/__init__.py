"""A whole mesh on one machine: all services in one process, or a process for each."""
