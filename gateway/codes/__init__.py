"""Health codes: computed once for all who ask, cached, and shown."""
