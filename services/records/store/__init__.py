"""Stores of records: protocols, and an adapter for each database."""
