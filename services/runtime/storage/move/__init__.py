"""Moves a store from one database to another while it is served."""
