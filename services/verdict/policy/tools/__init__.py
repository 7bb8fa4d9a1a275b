"""Tools for those who write policies: check, test, explain, and the published JSON Schema."""
