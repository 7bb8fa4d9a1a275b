"""Judges evidence by a region's policy: is this test recognised here, now, and until when? Stateless."""
