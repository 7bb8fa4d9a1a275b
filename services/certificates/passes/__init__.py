"""Passes: one verdict, signed for minutes, that a venue checks with no network against keys it was given before."""
