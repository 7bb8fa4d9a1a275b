"""The release that this code is of."""

RELEASE = "0.1.0"
"""Stands here, and not in the metadata of an installed package alone: images hold the code by itself. The packages'
`version` is the same, and a test says so."""
