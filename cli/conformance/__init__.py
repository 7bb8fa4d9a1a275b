"""Conformance: published cases are played against a mesh, or against a region of somebody's own making."""
