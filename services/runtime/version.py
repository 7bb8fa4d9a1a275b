"""The version of this program: that of pyproject.toml, also where only the services' code is, as in an image."""

VERSION = "0.1.0"
