"""The sub-commands of `hutong records`."""
