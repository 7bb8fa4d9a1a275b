"""Policies as files: read, kept up to date, explained, checked."""
