"""One module for each benchmark, found by its name."""
