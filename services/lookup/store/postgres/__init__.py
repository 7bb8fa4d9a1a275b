"""Holders and regions in PostgreSQL."""
