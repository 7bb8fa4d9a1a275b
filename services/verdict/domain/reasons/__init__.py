"""Reasons in words: what fell short, and what would have been enough."""
