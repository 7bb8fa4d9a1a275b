"""Laboratories' figures: counted along the feed, asked for, and shown as metrics."""
