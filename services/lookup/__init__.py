"""Lookup: which region knows what. The directory of regions, a person's documents, and evidence across regions."""
