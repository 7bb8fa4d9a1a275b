"""Verdicts kept ready. May be fast, never wrong."""
