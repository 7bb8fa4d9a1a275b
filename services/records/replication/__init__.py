"""Stores that follow stores: the change feed, its followers, copies, and what a follower knows completely."""
