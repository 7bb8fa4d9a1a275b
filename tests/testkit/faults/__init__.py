"""What runs of the faults' tests saw, and the page that tells it."""
