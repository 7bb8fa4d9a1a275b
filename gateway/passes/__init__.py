"""Passes: a holder's code, signed for minutes, and the bundle that a gate checks it against."""
