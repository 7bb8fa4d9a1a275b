"""The port of operators: whether a process lives, whether it is ready, what it counts."""
