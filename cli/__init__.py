"""`hutong`: the commands, and the one place that may put all parts of the mesh together."""
