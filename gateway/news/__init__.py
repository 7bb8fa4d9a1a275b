"""News of the mesh, on their way into the cache."""
