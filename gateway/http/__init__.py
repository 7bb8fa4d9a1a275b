"""The gateway over HTTP: JSON in, JSON or problem+json out."""
