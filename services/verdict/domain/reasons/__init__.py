"""What fell short, and what would have been enough, in words."""
