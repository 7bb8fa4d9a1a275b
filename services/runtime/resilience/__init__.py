"""What keeps one failure from becoming another."""
