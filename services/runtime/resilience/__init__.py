"""Means that keep one failure from becoming another."""
