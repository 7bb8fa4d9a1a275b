"""Calls between services: server, channel, admission, deadlines, errors, health."""
