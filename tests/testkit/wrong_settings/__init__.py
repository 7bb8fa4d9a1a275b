"""Settings with plausible wrong values: the table, the mesh they are tried on, and the page of what happens."""
