"""The steps from evidence to a verdict."""
