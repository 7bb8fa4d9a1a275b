"""The record of what runs of the faults' tests saw, and the page that tells it."""
