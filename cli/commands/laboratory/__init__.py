"""The sub-commands of `hutong laboratory`."""
