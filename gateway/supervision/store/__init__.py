"""The store of figures and refusals, in each engine."""
