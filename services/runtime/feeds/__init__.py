"""Feeds that many follow: read once, and put into messages once, for all of them."""
