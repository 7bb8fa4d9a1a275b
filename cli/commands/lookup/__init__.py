"""The sub-commands of `hutong lookup`."""
