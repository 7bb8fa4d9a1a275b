"""A store of records whose keys may be of several versions of the mesh's secret, as one of this process's own."""
