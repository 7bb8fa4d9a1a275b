"""What the service asks of a store."""
