"""Records whose time is over, and how they are deleted."""
