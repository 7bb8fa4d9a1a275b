"""A region that implements the contracts itself, checked from the outside."""
