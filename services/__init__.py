"""The services of the mesh, what they share, and the words they have in common."""
