"""A region's own answers beside those of the mesh: compared, and used for nothing."""
