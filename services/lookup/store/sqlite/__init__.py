"""Holders and regions in one SQLite file."""
