"""Holders: results that they claim, scopes that they switch, and the feed of both."""
