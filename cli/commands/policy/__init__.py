"""The sub-commands of `hutong policy`."""
