"""Limits of how much one caller, and one address, may ask: token buckets by class of call."""
