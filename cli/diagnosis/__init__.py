"""Asks everybody on a mesh who they are, and judges whether they agree."""
