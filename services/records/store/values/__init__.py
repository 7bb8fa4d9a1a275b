"""The values that a store gives and takes."""
