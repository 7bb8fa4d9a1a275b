"""docs/capacity.md: its text, and how it is made of a benchmark's figures."""
