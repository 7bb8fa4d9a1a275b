"""The commands of `hutong`, one module each."""
